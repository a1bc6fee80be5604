"""Score pictures with the exported model: python example.py PICTURE ...

Needs numpy, pillow and onnxruntime (or openvino, for a model of that form)."""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
FACTS = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
if FACTS["format"] == "onnx":
    import onnxruntime

    model = onnxruntime.InferenceSession(str(HERE / FACTS["file"]), providers=["CPUExecutionProvider"])
else:
    import openvino

    model = openvino.Core().compile_model(str(HERE / FACTS["file"]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
for name in sys.argv[1:]:
    with Image.open(name) as file:  # as the app opens it: upright, transparency on black, 8-bit RGB
        image = ImageOps.exif_transpose(file).convert("RGBA")
    black = Image.new("RGBA", image.size, "black")
    pixels = np.asarray(Image.alpha_composite(black, image).convert("RGB"))
    if pixels.shape[:2] != (FACTS["input"]["height"], FACTS["input"]["width"]):
        sys.exit(f"{name} is {image.width} x {image.height}; the model takes {FACTS['input']}.")
    if FACTS["format"] == "onnx":
        values = model.run(FACTS["outputs"], {"pixels": pixels})
    else:
        values = list(model({"pixels": pixels}).values())
    answer = dict(zip(FACTS["outputs"], values, strict=True))
    score, calls = float(answer["score"][0]), FACTS["calls"]
    level = float(answer["level"][0]) if "level" in answer else None
    if calls and "cuts" in calls:
        level = calls["levels"][np.searchsorted(calls["cuts"], score, side="right")]
    elif calls and "medians" in calls:
        level = calls["levels"][np.abs(score - np.array(calls["medians"])).argmin()]
    print(f"{name}\t{score:.6g}\t{'above' if score >= FACTS['threshold'] else 'below'} the threshold\tlevel {level}")
