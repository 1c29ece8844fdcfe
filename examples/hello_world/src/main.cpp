// Shows the model that lies in flash and, if a TensorFlow Lite Micro library is linked, lets it compute sines.

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef ARDUINO
#include <Arduino.h>
#endif

#include <tflm/hello_world.h>

namespace {

const unsigned long kAlignment = 16;
const int kSteps = 24;
const float kTwoPi = 6.2831853f;
// The int8 model is off by 0.045 at most; the rest is room for the rounding of other kernels.
const float kAllowedError = 0.06f;

void print(const char* format, ...) {
  char line[128];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
#ifdef ARDUINO
  Serial.print(line);
#else
  fputs(line, stdout);
#endif
}

// A number with four decimals. The printf of many boards is built without %f.
struct Decimal {
  char text[16];
  explicit Decimal(float value) {
    const long scaled = lroundf(value * 10000.0f);
    const unsigned long size = scaled < 0 ? -static_cast<unsigned long>(scaled) : static_cast<unsigned long>(scaled);
    snprintf(text, sizeof(text), "%s%lu.%04lu", scaled < 0 ? "-" : "", size / 10000, size % 10000);
  }
};

// CRC-32 as zlib and zip compute it.
unsigned long crc32(const unsigned char* data, size_t length) {
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t index = 0; index < length; ++index) {
    crc ^= data[index];
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
  }
  return static_cast<unsigned long>(crc ^ 0xFFFFFFFFu);
}

bool show_model() {
  const unsigned long address = static_cast<unsigned long>(reinterpret_cast<uintptr_t>(hello_world_data));
  const bool aligned = address % kAlignment == 0;
  print("model       hello_world\n");
  print("address     0x%08lx\n", address);
  print("alignment   %lu bytes%s\n", address & (0ul - address), aligned ? "" : ", but 16 are needed");
  print("length      %lu bytes\n", static_cast<unsigned long>(hello_world_data_len));
  print("CRC-32      0x%08lx\n", crc32(hello_world_data, hello_world_data_len));
  print("operators   %lu:", static_cast<unsigned long>(tflm::HelloWorld::kOpCount));
  for (uint32_t index = 0; index < tflm::HelloWorld::kOpCount; ++index) {
    print(" %s", tflm::HelloWorld::operator_name(index));
  }
  print("\narena       %lu bytes\n", static_cast<unsigned long>(tflm::HelloWorld::kArenaSize));
  return aligned;
}

#if TFLM_HELLO_WORLD_RUNTIME_TFLM

tflm::HelloWorld model;

bool infer() {
  if (!model.begin()) {
    print("begin() failed: %s\n", model.error());
    return false;
  }
  print("arena used  %lu bytes\n\n", static_cast<unsigned long>(model.arena_used_bytes()));
  print("       x  inferred    sin(x)     error\n");
  float largest = 0.0f;
  for (int step = 0; step <= kSteps; ++step) {
    const float x = kTwoPi * static_cast<float>(step) / static_cast<float>(kSteps);
    model.set_input(0, x);
    if (!model.invoke()) {
      print("invoke() failed: %s\n", model.error());
      return false;
    }
    const float inferred = model.output_value(0);
    const float error = fabsf(inferred - sinf(x));
    largest = error > largest ? error : largest;
    print("%8s  %8s  %8s  %8s\n", Decimal(x).text, Decimal(inferred).text, Decimal(sinf(x)).text, Decimal(error).text);
  }
  const bool good = largest <= kAllowedError;
  print("\nlargest error %s, allowed %s: %s\n", Decimal(largest).text, Decimal(kAllowedError).text,
        good ? "good" : "TOO MUCH");
  return good;
}

#else

bool infer() {
  print("\nNo inference library is in this environment, so the model was not run.\n");
  print("Add a TensorFlow Lite Micro library to lib_deps, or give one for this run:\n");
  print("  PLATFORMIO_TFLM_LIBRARY=symlink:///path/to/the/library pio run -t upload\n");
  return true;
}

#endif

bool run() {
  const bool aligned = show_model();
  const bool inferred = infer();
  return aligned && inferred;
}

}  // namespace

#ifdef ARDUINO

void setup() {
  Serial.begin(115200);
  while (!Serial && millis() < 5000) {
  }
}

void loop() {
  run();
  print("\n");
  delay(5000);
}

#else

int main() { return run() ? 0 : 1; }

#endif
