// Uses headers and library, from where CMake found them.
#include <xgrad/core/shape.hpp>
#include <xgrad/xgrad.hpp>

int main() { return xgrad::to_string(xgrad::Shape{2, 3}) == "(2,3)" ? 0 : 1; }
