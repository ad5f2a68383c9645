"""What all experiments share: flags, run directories, checkpoints, progress, epochs, hosts."""
