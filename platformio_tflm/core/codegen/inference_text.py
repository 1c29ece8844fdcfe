"""The C++ text of ``<tflm/<stem>.h>``; the logic that fills it in is in inference.py."""

from __future__ import annotations

FILE = """\
@BANNER@#ifndef TFLM_GENERATED_@GUARD@_INFERENCE_H_
#define TFLM_GENERATED_@GUARD@_INFERENCE_H_

@FRONT@
@INCLUDES@
// 1: the class below runs the model by TensorFlow Lite Micro. 0: it has its constants and its bytes only.
#define @MACRO@_RUNTIME_TFLM @RUNTIME@
@ARENA_DECLARATION@
@SUPPORT@
namespace tflm {
@CONSTANTS@
@CLASS_DEFINITION@
}  // namespace tflm

#endif
"""

ARENA_ONLY = """
extern "C" {
extern unsigned char @ARENA_NAME@[@ARENA@];
}
"""

CONSTANTS = """\
namespace detail {
@TYPES@
// A template, because C++11 lets only those define static constants in a header.
template <class Unused>
struct @CLASS@Constants {
  // @ARENA_WHAT@ in bytes; how it was found: @ARENA_METHOD@.
  static constexpr uint32_t kArenaSize = @ARENA@u;
  // What this model needs of an arena, for a moment in begin(), if it has one for itself; how it was found:
  // @NEED_METHOD@.
  static constexpr uint32_t kArenaNeeded = @NEED@u;
  static constexpr uint32_t kModelSize = @SIZE@u;
  static constexpr uint32_t kSchemaVersion = @SCHEMA@u;
  static constexpr uint32_t kOpCount = @OPS@u;
  static constexpr uint32_t kInputCount = @INPUTS@u;
  static constexpr uint32_t kOutputCount = @OUTPUTS@u;
  static constexpr uint32_t kResourceVariableCount = @RESOURCES@u;
  // real = scale * (stored - zero point); scale 1 and zero point 0 where the stored values are the real ones.
@DECLARED@
  // Name of an operator that the model uses, below kOpCount; "" otherwise.
  static const char* operator_name(uint32_t index) {
    static const char* const names[] = {@NAMES@""};
    return index < sizeof(names) / sizeof(names[0]) ? names[index] : "";
  }
};
template <class Unused>
constexpr uint32_t @CLASS@Constants<Unused>::kArenaSize;
template <class Unused>
constexpr uint32_t @CLASS@Constants<Unused>::kArenaNeeded;
template <class Unused>
constexpr uint32_t @CLASS@Constants<Unused>::kModelSize;
template <class Unused>
constexpr uint32_t @CLASS@Constants<Unused>::kSchemaVersion;
template <class Unused>
constexpr uint32_t @CLASS@Constants<Unused>::kOpCount;
template <class Unused>
constexpr uint32_t @CLASS@Constants<Unused>::kInputCount;
template <class Unused>
constexpr uint32_t @CLASS@Constants<Unused>::kOutputCount;
template <class Unused>
constexpr uint32_t @CLASS@Constants<Unused>::kResourceVariableCount;
@DEFINED@
}  // namespace detail
"""

# One text in every header, behind one guard. Rounding by hand: Arduino cores define round() and min() as macros.
SUPPORT_TFLM = """\
#ifndef TFLM_GENERATED_SUPPORT_
#define TFLM_GENERATED_SUPPORT_
namespace tflm {
namespace detail {

template <bool kWide>
struct Steps {
  typedef int32_t type;
};
template <>
struct Steps<true> {
  typedef int64_t type;
};

// Stored value nearest to real: half away from zero, as TensorFlow Lite rounds, and saturating. Not-a-number gives the
// zero point.
template <class Stored>
struct Quantizer {
  static Stored store(float real, float scale, int32_t zero_point) {
    typedef typename Steps<(sizeof(Stored) >= 4)>::type Wide;
    const float steps = real / scale;
    const float low = static_cast<float>((std::numeric_limits<Stored>::min)()) - static_cast<float>(zero_point);
    const float high = static_cast<float>((std::numeric_limits<Stored>::max)()) - static_cast<float>(zero_point);
    if (steps != steps) {
      return static_cast<Stored>(zero_point);
    }
    if (steps <= low) {
      return (std::numeric_limits<Stored>::min)();
    }
    if (steps >= high) {
      return (std::numeric_limits<Stored>::max)();
    }
    Wide whole = static_cast<Wide>(steps);
    const float rest = steps - static_cast<float>(whole);
    if (rest >= 0.5f) {
      ++whole;
    } else if (rest <= -0.5f) {
      --whole;
    }
    return static_cast<Stored>(whole + zero_point);
  }
  static float real(Stored stored, float scale, int32_t zero_point) {
    typedef typename Steps<(sizeof(Stored) >= 4)>::type Wide;
    return scale * static_cast<float>(static_cast<Wide>(stored) - zero_point);
  }
};
template <>
struct Quantizer<float> {
  static float store(float real, float, int32_t) { return real; }
  static float real(float stored, float, int32_t) { return stored; }
};
template <>
struct Quantizer<double> {
  static double store(float real, float, int32_t) { return static_cast<double>(real); }
  static float real(double stored, float, int32_t) { return static_cast<float>(stored); }
};
template <>
struct Quantizer<bool> {
  static bool store(float real, float, int32_t) { return real < 0.0f || real > 0.0f; }
  static float real(bool stored, float, int32_t) { return stored ? 1.0f : 0.0f; }
};

// A text with figures that are only known at run time. Its room is in programs that can come to need it, and no others.
template <class Unused>
struct ArenaText {
  static char text[128];
  static const char* too_small(size_t given, const char* who_needs, uint32_t needed) {
    char* end = append(text, "the arena has ");
    end = append_number(end, static_cast<uint32_t>(given));
    end = append(end, " bytes, but ");
    end = append(end, who_needs);
    end = append_number(end, needed);
    *end = 0;
    return text;
  }
  static char* append(char* end, const char* words) {
    while (*words != 0) {
      *end++ = *words++;
    }
    return end;
  }
  static char* append_number(char* end, uint32_t number) {
    char digits[10];
    uint32_t count = 0;
    do {
      digits[count++] = static_cast<char>('0' + number % 10u);
      number /= 10u;
    } while (number != 0);
    while (count != 0) {
      *end++ = digits[--count];
    }
    return end;
  }
};
template <class Unused>
char ArenaText<Unused>::text[128];

// Where a tensor's data lies; null if it is not the tensor that this header was generated for.
inline void* tensor_data(const TfLiteTensor* tensor, TfLiteType type, size_t bytes) {
  if (tensor == nullptr || (type != kTfLiteNoType && tensor->type != type) || (bytes != 0 && tensor->bytes != bytes)) {
    return nullptr;
  }
  return tensor->data.data;
}

}  // namespace detail
}  // namespace tflm
#endif
"""

STATE = """\
namespace detail {
// Static storage without constructors: nothing runs before main, nothing needs a lock, nothing is on the heap.
struct alignas(::tflite::MicroInterpreter) @CLASS@InterpreterBytes {
  unsigned char bytes[sizeof(::tflite::MicroInterpreter)];
};
template <class Unused>
struct @CLASS@State {
  static @CLASS@InterpreterBytes storage;
  static ::tflite::MicroInterpreter* interpreter;
  static void* inputs[@CLASS@Constants<Unused>::kInputCount + 1];
  static void* outputs[@CLASS@Constants<Unused>::kOutputCount + 1];
  static bool ready;
  static const char* error;
@TENANT_DECLARED@};
template <class Unused>
@CLASS@InterpreterBytes @CLASS@State<Unused>::storage;
template <class Unused>
::tflite::MicroInterpreter* @CLASS@State<Unused>::interpreter = nullptr;
template <class Unused>
void* @CLASS@State<Unused>::inputs[@CLASS@Constants<Unused>::kInputCount + 1];
template <class Unused>
void* @CLASS@State<Unused>::outputs[@CLASS@Constants<Unused>::kOutputCount + 1];
template <class Unused>
bool @CLASS@State<Unused>::ready = false;
template <class Unused>
const char* @CLASS@State<Unused>::error = "begin() has not been called";
@TENANT_DEFINED@}  // namespace detail
"""

CLASS_TFLM = """\
@STATE@
// All objects of this class are one and the same model: its interpreter and its state are static.
class @CLASS@ : public detail::@CLASS@Constants<void> {
  typedef detail::@CLASS@State<void> State;

 public:
  template <unsigned int kIndex>
  using Input = typename detail::@CLASS@Input<kIndex>::type;
  template <unsigned int kIndex>
  using Output = typename detail::@CLASS@Output<kIndex>::type;

@BEGIN@  // Stops using the arena, so that one that was given to begin() is yours again.
  void end() {
    stop();
    State::error = "the model was ended";
  }

  // Runs the model once. false: error() says why.
  bool invoke() {
    if (!State::ready) {
      return fail_softly("invoke() before a begin() that succeeded");
    }
    if (State::interpreter->Invoke() != kTfLiteOk) {
      return fail_softly("an operator failed while the model ran");
    }
    State::error = "";
    return true;
  }

  // The elements of an input or output; null before a begin() that succeeded.
  template <unsigned int kIndex = 0>
  Input<kIndex>* input() {
    static_assert(kIndex < kInputCount, "the model has no such input");
    return State::ready ? static_cast<Input<kIndex>*>(State::inputs[kIndex]) : nullptr;
  }
  template <unsigned int kIndex = 0>
  const Output<kIndex>* output() const {
    static_assert(kIndex < kOutputCount, "the model has no such output");
    return State::ready ? static_cast<const Output<kIndex>*>(State::outputs[kIndex]) : nullptr;
  }

  // Stores a real value, quantized as the model wants it. false: no such element, or not begun.
  template <unsigned int kIndex = 0>
  bool set_input(size_t element, float value) {
    static_assert(kIndex < kInputCount, "the model has no such input");
    static_assert(detail::@CLASS@Input<kIndex>::kHasValues, "elements of this type have no float form; use input()");
    if (!State::ready || element >= kInputElementCounts[kIndex]) {
      return false;
    }
    input<kIndex>()[element] =
        detail::Quantizer<Input<kIndex> >::store(value, kInputScales[kIndex], kInputZeroPoints[kIndex]);
    return true;
  }

  // The real value of an element; 0 if there is no such element, or not begun.
  template <unsigned int kIndex = 0>
  float output_value(size_t element) const {
    static_assert(kIndex < kOutputCount, "the model has no such output");
    static_assert(detail::@CLASS@Output<kIndex>::kHasValues, "elements of this type have no float form; use output()");
    if (!State::ready || element >= kOutputElementCounts[kIndex]) {
      return 0.0f;
    }
    return detail::Quantizer<Output<kIndex> >::real(output<kIndex>()[element], kOutputScales[kIndex],
                                                    kOutputZeroPoints[kIndex]);
  }

  // Index of the largest element of an output, the first of equals; -1 before a begin() that succeeded.
  template <unsigned int kIndex = 0>
  int top() const {
    if (!State::ready) {
      return -1;
    }
    const Output<kIndex>* const values = output<kIndex>();
    uint32_t best = 0;
    for (uint32_t index = 1; index < kOutputElementCounts[kIndex]; ++index) {
      if (values[best] < values[index]) {
        best = index;
      }
    }
    return static_cast<int>(best);
  }

  // @USED_WHAT@
  size_t arena_used_bytes() const { return State::ready ? State::interpreter->arena_used_bytes() : 0; }

  // Why the last begin() or invoke() failed; "" if it did not.
  const char* error() const { return State::error; }

  static const unsigned char* data() { return @NAME@_data; }

 private:
@START@  static bool allocate(::tflite::MicroInterpreter* interpreter) {
    // One that failed is left as it is: its destructor would call operators that were never prepared.
    if (interpreter->AllocateTensors() != kTfLiteOk) {
      return fail(
          "AllocateTensors failed: @WHY_NOT@");
    }
    State::interpreter = interpreter;
    return find_tensors(interpreter);
  }

  static void stop() {
    if (State::interpreter != nullptr) {
      State::interpreter->~MicroInterpreter();
    }
    State::interpreter = nullptr;
    State::ready = false;
@STOP@  }

  static bool fail(const char* text) {
    stop();
    State::error = text;
    return false;
  }

  static bool fail_softly(const char* text) {
    State::error = text;
    return false;
  }

  static bool find_tensors(::tflite::MicroInterpreter* interpreter) {
    bool matches = interpreter->inputs_size() == kInputCount && interpreter->outputs_size() == kOutputCount;
    if (!matches) {
      return fail("the linked model is not the one that this header was generated from");
    }
@CHECKS@    if (!matches) {
      return fail("an input or output is not of the type and size that this header was generated for");
    }
    State::ready = true;
    State::error = "";
    return true;
  }
};
"""

CLASS_DATA = """\
// Constants and bytes only: no runtime is linked. Add a TensorFlow Lite Micro library to lib_deps to run the model.
class @CLASS@ : public detail::@CLASS@Constants<void> {
 public:
  static const unsigned char* data() { return @NAME@_data; }
};
"""
