// Stand-in, not TensorFlow Lite Micro.
#pragma once
#include <string.h>
#include "tensorflow/lite/micro/micro_op_resolver.h"
namespace tflite {
template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  explicit MicroMutableOpResolver() {}
  // TfLiteStatus AddFromAComment(: no method.
  unsigned int size() const override { return count_; }
  const char* name(unsigned int index) const override { return index < count_ ? names_[index] : ""; }
  TfLiteStatus AddCustom(const char* name, @CONST@@REGISTRATION@* registration) {
    return registration == nullptr ? kTfLiteError : AddBuiltin(name);
  }
@METHODS@
 private:
  void operator delete(void*) {}
  TfLiteStatus AddBuiltin(const char* name) {
    for (unsigned int index = 0; index < count_; ++index) {
      if (strcmp(names_[index], name) == 0) return kTfLiteError;
    }
    if (count_ >= tOpCount) return kTfLiteError;
    names_[count_++] = name;
    return kTfLiteOk;
  }
  const char* names_[tOpCount];
  unsigned int count_ = 0;
};
}  // namespace tflite
