"""One absl-flag script an experiment; FLAGS are read in main and nowhere else."""
