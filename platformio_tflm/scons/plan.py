"""What script time decided; build actions find it in the environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformio_tflm.core.boards import Board
from platformio_tflm.pipeline import PlannedModel, RuntimeChoice
from platformio_tflm.settings import Settings

_KEY = "PLATFORMIO_TFLM_PLAN"


@dataclass(frozen=True, repr=False)
class Plan:
    """One environment's build. board: None where there is none to hold the firmware against.

    Without a repr, which would put every model's bytes into `pio run -t envdump`.
    """

    project_dir: Path
    output_dir: Path
    settings: Settings
    models: tuple[PlannedModel, ...]
    runtime: RuntimeChoice
    board: Board | None

    @staticmethod
    def of(env: Any) -> Plan:
        """The plan that keep() left in this environment or in the one it was cloned from."""
        plan: Plan = env[_KEY]
        return plan

    def keep(self, env: Any) -> None:
        env[_KEY] = self

    def model_of(self, node: Any) -> PlannedModel:
        """The model that a generated file's node belongs to."""
        stem = Path(str(node)).name.rsplit("_data.", 1)[0]
        return next(model for model in self.models if model.name == stem)
