// Stand-in, not TensorFlow Lite Micro.
#pragma once
#include "tensorflow/lite/core/c/common.h"
@REPORTER_INCLUDE@
namespace tflite {
class MicroAllocator {
 public:
  static MicroAllocator* Create(uint8_t* arena, size_t size@REPORTER@) {
    static MicroAllocator allocator;
    allocator.arena = arena;
    allocator.size = size;
    bool ready_ = size >= 64;
    @CHECK_REPORTER@
    return ready_ ? &allocator : nullptr;
  }
  uint8_t* arena = nullptr;
  size_t size = 0;
};
}  // namespace tflite
