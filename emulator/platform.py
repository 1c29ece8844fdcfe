"""PlatformIO's view of the platform; the building itself is in builder/main.py."""

from platformio.public import PlatformBase


class EmulatorPlatform(PlatformBase):  # type: ignore[misc]
    """Boards in QEMU. The compiler and QEMU come from PATH, so no package is ever asked for."""

    def is_embedded(self) -> bool:
        """PlatformIO decides by a package of type uploader; here QEMU plays the uploader's part."""
        return True
