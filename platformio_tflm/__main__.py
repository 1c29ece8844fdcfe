"""``python -m platformio_tflm``."""

from __future__ import annotations

import sys

from platformio_tflm.cli import main

sys.exit(main())
