// Stand-in, not TensorFlow Lite Micro.
#pragma once
#include "tensorflow/lite/core/c/common.h"
namespace tflite {
class MicroOpResolver {
 public:
  virtual unsigned int size() const = 0;
  virtual const char* name(unsigned int index) const = 0;

 protected:
  ~MicroOpResolver() {}
};
}  // namespace tflite
