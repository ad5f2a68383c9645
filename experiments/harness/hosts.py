"""Runs on several hosts: joins them, and waits for all of them."""

from typing import Protocol

import jax
from jax.experimental import multihost_utils

from experiments.harness.configuration import ConfigError, RunConfiguration

__all__ = ["HostsConfiguration", "barrier", "join"]


class HostsConfiguration(RunConfiguration, Protocol):
    """A configuration of a run on one or several hosts."""

    @property
    def coordinator_address(self) -> str | None:
        """The host:port of the first host, "auto", or None for one host."""
        ...

    @property
    def num_processes(self) -> int:
        """The number of hosts."""
        ...

    @property
    def process_id(self) -> int:
        """The number of this host, counted from 0."""
        ...


def join(config: HostsConfiguration) -> None:
    """Connects this process to those of the other hosts; does nothing for one host.

    Every host runs the same command with its own `--process_id` and sees the same files in
    `--workdir`. Call this before anything asks jax for its devices.

    Args:
      config: a configuration with `coordinator_address`, `num_processes`, `process_id` and
        `workdir`.

    Raises:
      ConfigError: the flags contradict each other, or the coordinator cannot be reached.

    Example:
      hosts.join(config)      # jax.devices() then lists the devices of all hosts
    """
    address = config.coordinator_address
    if address is None:
        if config.num_processes > 1 or config.process_id > 0:
            raise ConfigError(
                f"--num_processes={config.num_processes} --process_id={config.process_id}: several "
                "hosts need --coordinator_address, the host:port of the first"
            )
        return
    if config.workdir is None:
        raise ConfigError(
            f"--coordinator_address={address}: give one --workdir that all hosts can see"
        )
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError(f"--coordinator_address={address}: must be host:port, or auto")
        if config.process_id >= config.num_processes:
            raise ConfigError(
                f"--process_id={config.process_id}: must be below --num_processes="
                f"{config.num_processes}"
            )
    if jax.distributed.is_initialized():
        return
    try:
        if address == "auto":
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(address, config.num_processes, config.process_id)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"--coordinator_address={address}: {reason}") from None


def barrier(name: str) -> None:
    """Waits until every host has reached this call; does nothing for one host.

    Args:
      name: the same on every host, and different for every call in the program.
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
