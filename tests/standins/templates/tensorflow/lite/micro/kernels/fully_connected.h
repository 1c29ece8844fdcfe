// Stand-in, not TensorFlow Lite Micro.
struct OpDataFullyConnected {
  bool is_per_channel;
};
