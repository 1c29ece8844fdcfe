// Stand-in, not TensorFlow Lite Micro.
#pragma once
namespace tflite {
class GreedyMemoryPlanner {
 public:
  void* something[4];
};
}  // namespace tflite
