# PlatformIO runs this when the library is in lib_deps; everything happens in the package beside it.
Import("env")
from platformio_tflm import attach
attach(env)
