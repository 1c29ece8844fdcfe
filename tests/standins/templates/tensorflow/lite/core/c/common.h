// Stand-in, not TensorFlow Lite Micro.
#pragma once
#include <stddef.h>
#include <stdint.h>
typedef enum { kTfLiteOk = 0, kTfLiteError = 1 } TfLiteStatus;
typedef enum {
  kTfLiteNoType = 0,
  kTfLiteFloat32 = 1,
  kTfLiteInt32 = 2,
  kTfLiteUInt8 = 3,
  kTfLiteInt64 = 4,
  kTfLiteBool = 6,
  kTfLiteInt16 = 7,
  kTfLiteInt8 = 9,
  kTfLiteFloat16 = 10,
  kTfLiteFloat64 = 11,
  kTfLiteUInt64 = 13,
  kTfLiteUInt32 = 16,
} TfLiteType;
#ifdef TF_LITE_STATIC_MEMORY
#define STANDIN_PADDING
#else
#define STANDIN_PADDING void* only_without_static_memory;
#endif
struct TfLiteTensor {
  union {
    void* data;
    int8_t* int8;
    float* f;
  } data;
  TfLiteType type;
  size_t bytes;
  STANDIN_PADDING
};
struct @REGISTRATION@ {
  void* init;
  const char* custom_name;
};
