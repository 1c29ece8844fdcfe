// Stand-in, not TensorFlow Lite Micro. One arena for all interpreters that are made with it: heads overlap, tails add up.
#pragma once
#include "@ARENA_ALLOCATOR_HEADER@"
#include "tensorflow/lite/core/c/common.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
@REPORTER_INCLUDE@
namespace tflite {
class MicroAllocator {
 public:
  static MicroAllocator* Create(uint8_t* arena, size_t size@REPORTER@) {
    MicroAllocator* const allocator = one(nullptr);
    allocator->arena = arena;
    allocator->size = size;
    bool ready_ = size >= 64;
    @CHECK_REPORTER@
    return ready_ ? allocator : nullptr;
  }
  static MicroAllocator* Create(@ARENA_ALLOCATOR@* memory, GreedyMemoryPlanner* planner@REPORTER@) {
    MicroAllocator* const allocator = one(memory);
    allocator->arena = memory->GetOverlayMemoryAddress();
    allocator->size = memory->GetAvailableMemory(1);
    bool ready_ = planner != nullptr;
    @CHECK_REPORTER@
    return ready_ ? allocator : nullptr;
  }
  // A model's persistent part. Faults where the library would go on with a null pointer.
  bool persist(size_t bytes) {
    if (memory == nullptr) {
      if (tail + bytes > size) return false;
    } else if (memory->AllocatePersistentBuffer(bytes, 16) == nullptr) {
      __builtin_trap();
    }
    tail += bytes;
    return true;
  }
  // A model's non-persistent part, from the start of the arena.
  bool overlay(size_t bytes) {
    if (memory != nullptr) return memory->ResizeBuffer(arena, bytes, 16) == kTfLiteOk;
    return tail + bytes <= size;
  }
  uint8_t* arena = nullptr;
  size_t size = 0;
  size_t tail = 0;
  size_t models = 0;
  @ARENA_ALLOCATOR@* memory = nullptr;

 private:
  static MicroAllocator* one(@ARENA_ALLOCATOR@* memory) {
    static MicroAllocator allocators[16];
    static int count = 0;
    MicroAllocator* const allocator = &allocators[count++ % 16];
    *allocator = MicroAllocator();
    allocator->memory = memory;
    return allocator;
  }
};
}  // namespace tflite
