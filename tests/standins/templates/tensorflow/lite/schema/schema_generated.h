// Stand-in, not TensorFlow Lite Micro.
#pragma once
#include <stdint.h>
#include <string.h>
namespace tflite {
// A FlatBuffer: the root's offset, its table of fields before it, field 0 is the version.
class Model {
 public:
  uint32_t version() const {
    const unsigned char* const table = bytes_ + read(bytes_);
    const unsigned char* const fields = table - static_cast<int32_t>(read(table));
    return read(table + fields[4] + 256 * fields[5]);
  }

 private:
  static uint32_t read(const unsigned char* from) {
    uint32_t value = 0;
    memcpy(&value, from, sizeof(value));
    return value;
  }
  unsigned char bytes_[8];
};
inline const Model* GetModel(const void* data) { return static_cast<const Model*>(data); }
}  // namespace tflite
