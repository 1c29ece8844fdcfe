// Stand-in, not TensorFlow Lite Micro.
#pragma once
#include "tensorflow/lite/micro/micro_allocator.h"
namespace tflite {
class MicroResourceVariables {
 public:
  static MicroResourceVariables* Create(MicroAllocator* allocator, int count) {
    static MicroResourceVariables variables;
    variables.count = count;
    return allocator == nullptr ? nullptr : &variables;
  }
  int count = 0;
};
}  // namespace tflite
