"""One absl-flag script an experiment: `python -m experiments.<name> --helpfull`."""
