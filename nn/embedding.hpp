#pragma once

#include <xgrad/nn/init.hpp>
#include <xgrad/nn/module.hpp>
#include <xgrad/ops/index.hpp>

namespace xgrad::nn {

struct EmbeddingOptions {
  Initializer init = normal(1);
};

/// A row of the table W (vocabulary, width) for each index: (...) -> (..., width).
struct Embedding : Module {
  Embedding(Index vocabulary, Index width, const EmbeddingOptions& options = {});
  Var operator()(const Indices& indices) const;

  Var W;
};

}  // namespace xgrad::nn
