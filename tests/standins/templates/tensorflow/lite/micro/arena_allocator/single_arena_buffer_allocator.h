// Stand-in, not TensorFlow Lite Micro. Persistent memory from the end, all else from the start; null where they meet.
#pragma once
#include "tensorflow/lite/core/c/common.h"
@REPORTER_INCLUDE@
namespace tflite {
class @ARENA_ALLOCATOR@ {
 public:
  @ARENA_ALLOCATOR@(@FIRST_REPORTER@uint8_t* buffer, size_t buffer_size)
      : start_(buffer), head_(buffer), tail_(buffer + buffer_size) {
    @CHECK_FIRST_REPORTER@
  }
  virtual ~@ARENA_ALLOCATOR@() {}
  virtual TfLiteStatus ResizeBuffer(uint8_t* buffer, size_t size, size_t alignment) {
    if (buffer != start_ || alignment == 0 || size > room_from(start_)) return kTfLiteError;
    head_ = start_ + size;
    return kTfLiteOk;
  }
  virtual uint8_t* AllocatePersistentBuffer(size_t size, size_t alignment) {
    const uintptr_t end = reinterpret_cast<uintptr_t>(tail_);
    const size_t all = size + (end - size) % alignment;
    if (all > room_from(head_)) return nullptr;
    tail_ -= all;
    return tail_;
  }
  virtual uint8_t* AllocateTemp(size_t size, size_t alignment) {
    return alignment != 0 && size <= room_from(head_) ? head_ : nullptr;
  }
  virtual uint8_t* GetOverlayMemoryAddress() const { return start_; }
  virtual size_t GetNonPersistentUsedBytes() const { return static_cast<size_t>(head_ - start_); }
  virtual size_t GetAvailableMemory(size_t alignment) const { return alignment == 0 ? 0 : room_from(head_); }

 protected:
  uint8_t* head() const { return head_; }
  uint8_t* tail() const { return tail_; }

 private:
  size_t room_from(const uint8_t* place) const { return static_cast<size_t>(tail_ - place); }
  void operator delete(void*) {}
  uint8_t* start_;
  uint8_t* head_;
  uint8_t* tail_;
};
}  // namespace tflite
