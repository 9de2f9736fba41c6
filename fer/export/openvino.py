"""``openvino``: the ONNX converted to OpenVINO's own form, float32; needs the extra ``openvino``."""

import tempfile
from pathlib import Path

from fer.errors import ExportError, OutputError
from fer.export.format import FORMATS, Blueprint, Draft, Format
from fer.export.onnx import FLOAT32, model_proto
from fer.files import write_whole
from fer.portable.openvino_file import with_checksum
from fer.portable.seal import KEY, NO_SUM, SUM_KEY, Seal


def draft(blueprint: Blueprint) -> Draft:
    """Convert once; ExportError where OpenVINO is not installed or does not take the model."""
    try:
        import openvino
    except ImportError as error:
        raise ExportError("OpenVINO is not installed; pip install 'ferscope[openvino]', or use --format onnx") from error
    proto = model_proto(blueprint)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        source.write_bytes(proto.SerializeToString())
        try:
            model = openvino.convert_model(source)
        except RuntimeError as error:
            raise ExportError(f"OpenVINO does not take the network: {' '.join(str(error).split())[:200]}") from error

    def write(path: Path, seal: Seal) -> None:
        model.set_rt_info(seal.to_json(), [KEY, "seal"])
        model.set_rt_info(NO_SUM, [KEY, SUM_KEY])
        try:
            openvino.save_model(model, path, compress_to_fp16=False)
            write_whole(path, with_checksum(path.read_bytes(), path.with_suffix(".bin").read_bytes()))
        except RuntimeError as error:
            raise OutputError(f"cannot write {path}: {error}; choose a writable folder") from error

    return write


FORMATS.add("openvino", Format(draft, ".xml", FLOAT32, beside=".bin"))
