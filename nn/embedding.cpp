#include <xgrad/nn/embedding.hpp>

namespace xgrad::nn {

Embedding::Embedding(Index vocabulary, Index width, const EmbeddingOptions& options)
    : W(param("W", initial(options.init, {checked_size("Embedding", "vocabulary", vocabulary),
                                          checked_size("Embedding", "width", width)}))) {}

Var Embedding::operator()(const Indices& indices) const { return embedding(W, indices); }

}  // namespace xgrad::nn
