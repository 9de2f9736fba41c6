"""The same stage on many machines, spread by Ray Data; needs the extra ``ray``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer.bulk.listing import PART, pictures
from fer.bulk.run import DEFAULT, Bulk
from fer.bulk.stage import FaceStage
from fer.errors import ConfigError
from fer.released import find


def face_rows(sources: Sequence[Path], bulk: Bulk = DEFAULT) -> Any:
    """A lazy ``ray.data.Dataset``, a row a face; columns as :class:`~fer.bulk.stage.FaceStage` gives them.

    Files that cannot be read are rows of face 0 with a reason in ``error``: filter by ``error == ''``.

    Args:
        sources: pictures and folders that every machine sees under the same path.
        bulk: ``processes`` is the number of workers; 0 for one a core of the cluster.

    Raises:
        ConfigError: Ray is not installed.
        DataError: a source does not exist.

    >>> face_rows([Path("photos")], Bulk("m.onnx", processes=8)).write_parquet("faces")  # doctest: +SKIP
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError("Ray is not installed; pip install 'ferscope[ray]'") from error
    model = None if bulk.model is None else str(find(bulk.model).absolute())
    paths = [{"path": str(Path(file).absolute())} for file in pictures(sources)]
    workers = bulk.processes or int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
    return ray.data.from_items(paths).map_batches(
        FaceStage, fn_constructor_args=(model, bulk.detector, bulk.tta), batch_size=PART, concurrency=workers, num_cpus=1
    )
