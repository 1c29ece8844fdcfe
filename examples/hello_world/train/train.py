"""Train the sine model of this example and write ../models/hello_world.tflite.

    python -m venv .venv
    .venv/bin/pip install -r requirements.txt
    .venv/bin/python train.py

One input, an angle from 0 to 2π; one output, its sine. Both are int8.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# TensorFlow reads these while it is imported: quiet, one order of additions, no CPU-dependent kernels.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
import tensorflow as tf

SEED = 1
SAMPLES = 2000
EPOCHS = 300
BATCH = 64
LEARNING_RATE = 0.01
NOISE = 0.02  # about a step of the hidden layers' int8; training with it finds weights that bear the rounding
DEFAULT_OUTPUT = Path(__file__).resolve().parents[1] / "models" / "hello_world.tflite"


def make_deterministic() -> None:
    """Fix every source of randomness, threads included."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)


def angles(count: int) -> np.ndarray:
    """*count* angles from 0 to 2π, both ends included; shape (count, 1), float32."""
    return np.linspace(0.0, 2.0 * np.pi, count, dtype=np.float32).reshape(-1, 1)


def build_network(batch: int | None = None) -> keras.Model:
    """1 -> 16 -> 16 -> 1, ReLU between; a fixed *batch* makes every shape static.

    The first layer starts with rising slopes and negative biases, so that its ReLUs bend between 0 and 2π. By Keras's
    own start they would all bend at 0, and half of them never recover.
    """
    slopes = keras.initializers.RandomUniform(0.3, 1.0)
    biases = keras.initializers.RandomUniform(-3.0, 0.0)
    return keras.Sequential(
        [
            keras.layers.Input(batch_shape=(batch, 1), name="x"),
            keras.layers.Dense(
                16, activation="relu", kernel_initializer=slopes, bias_initializer=biases, name="hidden_1"
            ),
            keras.layers.GaussianNoise(NOISE),
            keras.layers.Dense(16, activation="relu", name="hidden_2"),
            keras.layers.GaussianNoise(NOISE),
            keras.layers.Dense(1, name="sine"),
        ],
        name="hello_world",
    )


def train(network: keras.Model) -> None:
    x = angles(SAMPLES)
    steps = EPOCHS * (SAMPLES // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    network.compile(optimizer=keras.optimizers.Adam(schedule), loss="mse")
    network.fit(x, np.sin(x), epochs=EPOCHS, batch_size=BATCH, verbose=0)


def representative_angles() -> Iterator[list[np.ndarray]]:
    """What the converter measures the value ranges with."""
    for x in angles(256):
        yield [x.reshape(1, 1)]


def convert(network: keras.Model, *, int8: bool) -> bytes:
    """The network as a .tflite file: float, or int8 through and through."""
    static = build_network(batch=1)
    static.set_weights(network.get_weights())
    converter = tf.lite.TFLiteConverter.from_keras_model(static)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative_angles
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        # One scale a layer: the Arduino libraries of 2022 and 2023 have no other fully connected kernel.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    with contextlib.redirect_stdout(io.StringIO()):  # Keras lists every variable it exports.
        return bytes(converter.convert())


def quantize(real: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    if detail["dtype"] is np.float32:
        return real
    scale, zero_point = detail["quantization"]
    return np.clip(np.round(real / scale) + zero_point, -128, 127).astype(detail["dtype"])


def dequantize(stored: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    if detail["dtype"] is np.float32:
        return stored
    scale, zero_point = detail["quantization"]
    return (stored.astype(np.float32) - zero_point) * scale


def errors(model: bytes, count: int = 1000) -> tuple[float, float]:
    """Largest and root-mean-square distance from the sine over *count* angles."""
    interpreter = tf.lite.Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    distances = []
    for x in angles(count):
        interpreter.set_tensor(source["index"], quantize(x.reshape(1, 1), source))
        interpreter.invoke()
        distances.append(dequantize(interpreter.get_tensor(sink["index"]), sink)[0, 0] - np.sin(x[0]))
    return float(np.max(np.abs(distances))), float(np.sqrt(np.mean(np.square(distances))))


def show(name: str, model: bytes) -> None:
    largest, mean = errors(model)
    print(f"{name:5s} {len(model):5d} bytes   largest error {largest:.4f}   RMS error {mean:.4f}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the sine model and convert it to int8.")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="where the .tflite goes")
    output: Path = parser.parse_args().output
    make_deterministic()
    network = build_network()
    train(network)
    show("float", convert(network, int8=False))
    model = convert(network, int8=True)
    show("int8", model)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(model)
    print(f"wrote {output.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
