"""Code shared by all experiments: flags, run directories, checkpoints, progress, epochs, hosts."""
