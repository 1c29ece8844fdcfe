// Stand-in, not TensorFlow Lite Micro.
#pragma once
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"
@REPORTER_INCLUDE@
#define TFLITE_SCHEMA_VERSION (3)
namespace standin {
struct Tensor {
  TfLiteType type;
  size_t bytes;
};
// What the next interpreter is to look like; the test fills it in.
struct Plan {
  size_t input_count, output_count;
  Tensor inputs[4], outputs[4];
  TfLiteStatus (*invoke)(TfLiteTensor* inputs, TfLiteTensor* outputs);
  int alive, resource_variables;
  unsigned int operators;
};
inline Plan& plan() {
  static Plan the_plan = {};
  return the_plan;
}
}  // namespace standin
namespace tflite {
class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& op_resolver, uint8_t* tensor_arena,
                   size_t tensor_arena_size@REPORTER@, MicroResourceVariables* resource_variables = nullptr)
      : arena_(tensor_arena), size_(tensor_arena_size), ready_(model != nullptr) {
    @CHECK_REPORTER@
    begin(op_resolver, resource_variables);
  }
  MicroInterpreter(const Model* model, const MicroOpResolver& op_resolver, MicroAllocator* allocator@REPORTER@,
                   MicroResourceVariables* resource_variables = nullptr)
      : arena_(allocator->arena), size_(allocator->size), ready_(model != nullptr), allocator_(allocator) {
    @CHECK_REPORTER@
    begin(op_resolver, resource_variables);
  }
  ~MicroInterpreter() { --standin::plan().alive; }

  // STANDIN_NEEDS, STANDIN_FAULTS_BELOW: a stand-in whose arena has a known least size, and a size below which it
  // faults instead of saying so, as the real library does now and then.
  TfLiteStatus AllocateTensors() {
#ifdef STANDIN_FAULTS_BELOW
    if (size_ < STANDIN_FAULTS_BELOW) __builtin_trap();
#endif
#ifdef STANDIN_NEEDS
    if (size_ < STANDIN_NEEDS) return kTfLiteError;
    used_ = STANDIN_NEEDS - 100;
#endif
    if (allocator_ != nullptr) {
      // 64 bytes of each model stay; while it gets ready it needs 32 more.
      if (!allocator_->persist(64) || !allocator_->overlay(needed() + 32)) return kTfLiteError;
      if (!allocator_->overlay(needed())) return kTfLiteError;
      size_ = allocator_->size - allocator_->tail;
    }
    if (!ready_ || !lay(standin::plan().inputs, standin::plan().input_count, inputs_)) return kTfLiteError;
    return lay(standin::plan().outputs, standin::plan().output_count, outputs_) ? kTfLiteOk : kTfLiteError;
  }
  TfLiteStatus Invoke() {
    return standin::plan().invoke == nullptr ? kTfLiteOk : standin::plan().invoke(inputs_, outputs_);
  }
  TfLiteTensor* input(size_t index) { return &inputs_[index]; }
  TfLiteTensor* output(size_t index) { return &outputs_[index]; }
  size_t inputs_size() const { return standin::plan().input_count; }
  size_t outputs_size() const { return standin::plan().output_count; }
  size_t arena_used_bytes() const { return used_; }

 private:
  void begin(const MicroOpResolver& op_resolver, MicroResourceVariables* resource_variables) {
    ++standin::plan().alive;
    standin::plan().operators = op_resolver.size();
    standin::plan().resource_variables = resource_variables == nullptr ? 0 : resource_variables->count;
  }
  static size_t needed() {
    size_t bytes = 0;
    for (size_t index = 0; index < standin::plan().input_count; ++index)
      bytes += (standin::plan().inputs[index].bytes + 15) / 16 * 16;
    for (size_t index = 0; index < standin::plan().output_count; ++index)
      bytes += (standin::plan().outputs[index].bytes + 15) / 16 * 16;
    return bytes;
  }
  bool lay(const standin::Tensor* plan, size_t count, TfLiteTensor* tensors) {
    for (size_t index = 0; index < count; ++index) {
      const size_t bytes = (plan[index].bytes + 15) / 16 * 16;
      if (used_ + bytes > size_) return false;
      tensors[index].type = plan[index].type;
      tensors[index].bytes = plan[index].bytes;
      tensors[index].data.data = arena_ + used_;
      used_ += bytes;
    }
    return true;
  }
  uint8_t* arena_;
  size_t size_;
  bool ready_;
  MicroAllocator* allocator_ = nullptr;
  size_t used_ = 0;
  TfLiteTensor inputs_[4] = {};
  TfLiteTensor outputs_[4] = {};
};
}  // namespace tflite
