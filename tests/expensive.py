"""Tests of more than three seconds of CPU time, nearly all of it compilation, and thereby slow.

They run in `.ci/run` and not in the README's test command. Of each subject a cheaper test, or one
of the parameters, stays in the fast tests. A statistical test, a further family or a further
setting is a good candidate; the only test of a feature is not.
"""

__all__ = ["EXPENSIVE", "is_expensive"]

# Name of the test -> the ids of its parameters that stay fast.
EXPENSIVE: dict[str, tuple[str, ...]] = {
    # experiments
    "test_a_longer_run_continues_the_shorter_one": (),
    "test_a_run_that_was_stopped_ends_like_an_uninterrupted_one": (),
    "test_averaged_weights_are_the_ones_evaluated": (),
    "test_estimated_gradients_are_unbiased": (),
    "test_evaluate_and_sample_from_the_checkpoint": (),
    "test_every_axis_trains": ("gaussian",),
    "test_flags_of_an_objective_reach_it": (),
    "test_several_seeds_are_the_runs_of_each": (),
    "test_the_command_line_reports_mistakes_in_one_line": (),
    "test_trains_evaluates_and_draws": (),
    # models
    "test_derivatives_of_the_inverse_spline": (),
    "test_planar_map_is_one_to_one_whatever_its_parameters": (),
    "test_shapes_support_and_gradients": ("normal", "bernoulli", "gamma"),
    # estimators
    "test_bias_of_gumbel_softmax_falls_with_the_temperature": (),
    "test_delta_method_takes_the_variance_of_a_quadratic_away": (),
    "test_second_derivatives_of_discrete_estimators": ("enumerate_exactly", "score_function"),
    "test_trained_control_variates_beat_leave_one_out_on_the_toy": (),
    # special
    "test_sharded_noise_gives_the_same_values_and_gradients": (
        "gamma_from_normal-Auto",
        "gamma_from_normal-Explicit",
    ),
    # distributions
    "test_dirichlet_of_small_concentrations_in_float32": (),
    "test_entropy_of_negative_binomial": ("30.0-0.99",),
    "test_gamma_quantiles_beyond_generated_noise": ("300.0-_icdf-float32",),
    "test_inverse_gaussian_is_unbiased": (),
    "test_lkj_cholesky_of_small_concentration": (),
    "test_normals_agree_with_the_full_matrix": (),
    "test_quantiles_beyond_generated_noise_of_beta_like_families": (),
    "test_quantiles_beyond_generated_noise_of_gamma_like_families": (),
    "test_derivative_of_the_distribution_function_at_the_median": ("VonMises",),
    "test_truncated_normal_twenty_scales_out": (),
    "test_upper_triangles_are_not_parameters": (),
    "test_von_mises_distribution_function": (),
    "test_von_mises_uniform_and_narrow": (),
}


def is_expensive(name: str, parameters: str) -> bool:
    """Returns whether the test of this name is slow with the parameters of this id."""
    return name in EXPENSIVE and parameters not in EXPENSIVE[name]
