// Built in place of the onednn_*.cpp where there is no oneDNN.
#include "libraries.hpp"

namespace peers {

ContenderPtr onednn_network(const Network&, Work) { return nullptr; }
ContenderPtr onednn_product(const Product&) { return nullptr; }
void use_onednn_threads(int) {}
std::string onednn_version() { return {}; }

}  // namespace peers
