"""Fabric and the environments it knows, from whichever of its two distributions is installed.

Training asks for ``lightning-fabric`` (docs/adr/0020). Bare training machines may have all of ``lightning`` instead, with the
same Fabric.
"""

try:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
except ModuleNotFoundError:
    from lightning.fabric import Fabric  # type: ignore[no-redef]
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment  # type: ignore[no-redef]
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment  # type: ignore[no-redef]
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment  # type: ignore[no-redef]

__all__ = ["LOGGERS", "Fabric", "LightningEnvironment", "SLURMEnvironment", "TorchElasticEnvironment"]

#: Loggers that announce number formats and processes on stderr.
LOGGERS = ("lightning_fabric", "lightning.fabric", "lightning.pytorch")
