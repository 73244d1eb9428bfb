// Built in place of the torch_*.cpp where there is no libtorch.
#include "libraries.hpp"

namespace peers {

ContenderPtr torch_network(const Network&, Work) { return nullptr; }
ContenderPtr torch_chain(int, bool) { return nullptr; }
ContenderPtr torch_sums(int, bool) { return nullptr; }
void use_torch_threads(int) {}
std::string torch_version() { return {}; }

}  // namespace peers
