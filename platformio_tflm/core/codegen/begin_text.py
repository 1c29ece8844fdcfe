"""The C++ text of begin(): which arena a model gets, and how it gets ready in it. The logic is in begin.py."""

from __future__ import annotations

# Where a plan is only a bound and the user has set a smaller arena, only TFLM can tell whether it will do, and it
# may crash over that: it goes on with null pointers (MicroAllocator::Create, StartModelAllocation, kernels'
# Init), ignores a head that could not grow (PrepareSubgraphs), lets the tail run into borrowed memory
# (AllocatePersistentBuffer looks at the head alone), and takes "less than nothing is left" for 4 GiB (AllocateTemp,
# GetAvailableMemory). A threshold does not help: one above what is needed refuses arenas that would do, one below it
# lets some through that crash. So each request is looked at before TFLM's own allocator sees it, and the first that
# does not fit abandons begin() by longjmp(), which passes over frames of TFLM that own nothing but the arena.
CHECKED_ARENA = """\
#ifndef TFLM_GENERATED_CHECKED_ARENA_
#define TFLM_GENERATED_CHECKED_ARENA_
namespace tflm {
namespace detail {

template <class Unused>
struct WayOut {
  static jmp_buf place;
  static bool open;
  // Of the arena; here, because a parameter may be lost on the way back through setjmp().
  static size_t given;
};
template <class Unused>
jmp_buf WayOut<Unused>::place;
template <class Unused>
bool WayOut<Unused>::open = false;
template <class Unused>
size_t WayOut<Unused>::given = 0;

// The library's own allocator, of the same size, in the same place; it leaves where the arena is too small.
class CheckedArena : public ::tflite::@ALLOCATOR@ {
  typedef ::tflite::@ALLOCATOR@ Base;

 public:
  static ::tflite::MicroAllocator* create(unsigned char* arena, size_t size) {
    CheckedArena first(arena, size);
    void* const place = first.AllocatePersistentBuffer(sizeof(CheckedArena), alignof(CheckedArena));
    CheckedArena* const checked = ::new (place) CheckedArena(first);
    typedef ::tflite::GreedyMemoryPlanner Planner;
    void* const planner = checked->AllocatePersistentBuffer(sizeof(Planner), alignof(Planner));
    return ::tflite::MicroAllocator::Create(checked, ::new (planner) Planner()@CREATE_REPORTER@);
  }

  uint8_t* AllocatePersistentBuffer(size_t size, size_t alignment) override {
    require(below(used()) + size + (below(tail()) - size) % alignment);
    return Base::AllocatePersistentBuffer(size, alignment);
  }
  uint8_t* AllocateTemp(size_t size, size_t alignment) override {
    require(up(used(), alignment) + size);
    return Base::AllocateTemp(size, alignment);
  }
  TfLiteStatus ResizeBuffer(uint8_t* buffer, size_t size, size_t alignment) override {
    require(up(GetOverlayMemoryAddress(), alignment) + size);
    return Base::ResizeBuffer(buffer, size, alignment);
  }
  size_t GetAvailableMemory(size_t alignment) const override {
    require(up(used(), alignment) + below(tail()) % alignment);
    return Base::GetAvailableMemory(alignment);
  }

 private:
  CheckedArena(unsigned char* arena, size_t size) : Base(@BASE_REPORTER@arena, size) {}
  // For the library's virtual destructor, which nobody calls.
  void operator delete(void*) {}

  static uintptr_t below(const uint8_t* place) { return reinterpret_cast<uintptr_t>(place); }
  static uintptr_t up(const uint8_t* place, size_t alignment) {
    return (below(place) + alignment - 1) / alignment * alignment;
  }
  const uint8_t* used() const { return GetOverlayMemoryAddress() + GetNonPersistentUsedBytes(); }

  // end: of what the arena must hold from its start. Sums do not wrap: no arena lies in the last bytes of memory, and
  // a size is at most that of the model's largest tensor.
  void require(uintptr_t end) const {
    if (WayOut<void>::open && end > below(tail())) {
      longjmp(WayOut<void>::place, 1);
    }
  }
};

}  // namespace detail
}  // namespace tflm
#endif
"""

SHARED_ARENA = """\
#ifndef TFLM_GENERATED_SHARED_ARENA_
#define TFLM_GENERATED_SHARED_ARENA_
namespace tflm {
namespace detail {

// A model in the shared arena.
struct Tenant {
  void (*end)(const char* why);
  Tenant* next;
};

// One allocator for all models (micro_allocator.h calls it multi-tenant): their heads lie over each other, their tails
// one below the other. It gives nothing back, so who begins anew there begins anew for all.
template <class Unused>
struct SharedArena {
  static ::tflite::MicroAllocator* allocator;
  static Tenant* tenants;
  static ::tflite::MicroAllocator* enter(Tenant* tenant) {
    if (allocator == nullptr) {
      allocator = @CREATE_SHARED@;
    }
    tenant->next = tenants;
    tenants = tenant;
    return allocator;
  }
  // Ends every model in it; the next begin() sets it up anew.
  static void clear(const char* why) {
    while (tenants != nullptr) {
      Tenant* const tenant = tenants;
      tenants = tenant->next;
      tenant->end(why);
    }
    allocator = nullptr;
  }
};
template <class Unused>
::tflite::MicroAllocator* SharedArena<Unused>::allocator = nullptr;
template <class Unused>
Tenant* SharedArena<Unused>::tenants = nullptr;

}  // namespace detail
}  // namespace tflm
#endif
"""

# The model's own arena.
BEGIN_OWN = """\
  // Gets the model ready in an arena of its own. Called again, it starts anew, with the variables of a streaming model
  // as at first. false: error() says why.
  bool begin() {
@BODY@  }

"""

BODY_OWN = """\
    return @START@(@ARENA_NAME@, sizeof(@ARENA_NAME@));
"""

REFUSED = """\
    return fail("the arena of @ARENA@ bytes is smaller than the @NEED@ that are needed; raise custom_tflm_arena");
"""

BEGIN_SHARED = """\
  // Gets the model ready in the arena that it shares with the project's other models, in whichever order they begin.
  // Inputs and outputs hold until another model runs or begins: set the inputs, invoke(), read the outputs, then the
  // next. @AGAIN@
  // false: error() says why.
  bool begin() {
@BODY@  }

"""

BODY_SHARED = """\
@ALREADY@    if (State::in_shared_arena) {
      detail::SharedArena<void>::clear("a model of the shared arena began anew: begin() again");
    }
    stop();
    if (!@START@()) {
      detail::SharedArena<void>::clear("a model of the shared arena could not begin: begin() again");
      return false;
    }
    return true;
"""

AGAIN_WITHOUT_STATE = "Called again, it has nothing to do."

AGAIN_WITH_STATE = """\
Called again, it starts anew, with its variables as at first; that sets up the shared
  // arena anew, so that all other models have to begin() again."""

ALREADY = """\
    if (State::ready && State::runs_in_shared_arena) {
      State::error = "";
      return true;
    }
"""

BEGIN_GIVEN = """\
  // The same in an arena of yours, aligned to @ALIGNMENT@ bytes, which is the model's as long as it runs.
  // @LEAST@
  bool begin(unsigned char* arena, size_t size) {
    if (arena == nullptr) {
      return fail("no arena was given to begin()");
    }
    if (reinterpret_cast<uintptr_t>(arena) % @ALIGNMENT@u != 0) {
      return fail("the arena given to begin() is not aligned to @ALIGNMENT@ bytes: declare it alignas(@ALIGNMENT@)");
    }
@TOO_SMALL@    return @START@(arena, size);
  }

"""

TOO_SMALL = """\
    if (size < kArenaNeeded) {
      return fail(detail::ArenaText<void>::too_small(size, "@WHO_NEEDS@", kArenaNeeded));
    }
"""

START_CHECKED = """\
  // noinline: what a caller has in registers may be lost on the way back through setjmp().
  __attribute__((noinline)) static bool start_checked(unsigned char* arena, size_t size) {
    stop();
    detail::WayOut<void>::given = size;
    if (setjmp(detail::WayOut<void>::place) != 0) {
      detail::WayOut<void>::open = false;
      return fail(detail::ArenaText<void>::too_small(detail::WayOut<void>::given,
                                                         "the model needs more@BESIDE@", kArenaNeeded));
    }
    detail::WayOut<void>::open = true;
    const bool done = start(arena, size);
    detail::WayOut<void>::open = false;
    return done;
  }

"""

SHARED_CHECKED = """\
  // noinline: what a caller has in registers may be lost on the way back through setjmp().
  __attribute__((noinline)) static bool start_shared_checked() {
    if (setjmp(detail::WayOut<void>::place) != 0) {
      detail::WayOut<void>::open = false;
      return fail(detail::ArenaText<void>::too_small(kArenaSize, "the models that share it need more@BESIDE@",
                                                         @SHARED_NEED@u));
    }
    detail::WayOut<void>::open = true;
    const bool done = start_shared();
    detail::WayOut<void>::open = false;
    return done;
  }

"""

SHARED = """\
  static bool start_shared() {
    State::in_shared_arena = State::runs_in_shared_arena = true;
    State::tenant.end = leave;
    return start_with(detail::SharedArena<void>::enter(&State::tenant));
  }

  static void leave(const char* why) {
    if (State::runs_in_shared_arena) {
      stop();
      State::error = why;
    }
    State::in_shared_arena = false;
  }

"""

START_WITH_ARENA = """\
  static bool start(unsigned char* arena, size_t size) {
    stop();
@CHECK@    return allocate(::new (static_cast<void*>(State::storage.bytes))
                        ::tflite::MicroInterpreter(model, resolver, arena, size@REPORTER@));
  }

"""

START_WITH_ALLOCATOR = """\
  static bool start(unsigned char* arena, size_t size) {
    stop();
    return start_with(@CREATE@);
  }

  static bool start_with(::tflite::MicroAllocator* allocator) {
@CHECK@@RESOURCES@    return allocate(::new (static_cast<void*>(State::storage.bytes))
                        ::tflite::MicroInterpreter(model, resolver, allocator@REPORTER@@VARIABLES@));
  }

"""

CHECK = """\
    const ::tflite::Model* const model = ::tflite::GetModel(@NAME@_data);
    if (model->version() != kSchemaVersion || kSchemaVersion != TFLITE_SCHEMA_VERSION) {
      return fail("the model's schema version is not the one that this TensorFlow Lite Micro reads");
    }
    TfLiteStatus registered = kTfLiteError;
    const @CLASS@OpResolver& resolver = @NAME@_op_resolver(&registered);
    if (registered != kTfLiteOk) {
      return fail("an operator could not be registered");
    }
"""

RESOURCES = """\
    ::tflite::MicroResourceVariables* const variables =
        allocator == nullptr ? nullptr
                             : ::tflite::MicroResourceVariables::Create(
                                   allocator, static_cast<int>(@CLASS@::kResourceVariableCount));
    if (variables == nullptr) {
      return fail("the arena has no room for the resource variables; raise custom_tflm_arena");
    }
"""

TENANT_DECLARED = """\
  // Whether its tail is in the shared arena, and whether it is there that it runs.
  static bool in_shared_arena;
  static bool runs_in_shared_arena;
  static Tenant tenant;
"""

TENANT_DEFINED = """\
template <class Unused>
bool @CLASS@State<Unused>::in_shared_arena = false;
template <class Unused>
bool @CLASS@State<Unused>::runs_in_shared_arena = false;
template <class Unused>
Tenant @CLASS@State<Unused>::tenant = {nullptr, nullptr};
"""
