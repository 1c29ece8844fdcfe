// Stand-in, not TensorFlow Lite Micro.
#pragma once
namespace tflite {
class ErrorReporter {
 public:
  virtual int Report(const char* format) { return format != nullptr; }
};
inline ErrorReporter* GetMicroErrorReporter() {
  static ErrorReporter reporter;
  return &reporter;
}
}  // namespace tflite
