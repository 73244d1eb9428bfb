// None of these compile. Each is refused in one sentence, which misuse.sh finds in the compiler's
// errors: there is one for each line below that says `refused`.
#include <xgrad/xgrad.hpp>

using namespace xgrad;

void in_place(Var x, const Var& y, xt::xarray<float>& array) {
  x += y;      // refused: a Var is not changed in place: write x = x + y
  x -= 1.0;    // refused: a Var is not changed in place: write x = x + y
  x *= 2 * y;  // refused: a Var is not changed in place: write x = x + y
  x /= array;  // refused: a Var is not changed in place: write x = x + y
  array += x;  // refused: a Var is not changed in place: write x = x + y
  x[0] = y;    // refused: an assignment to x[i], or to another temporary Var, would change nothing
  x[0] += y;   // refused: a Var is not changed in place: write x = x + y
}

bool comparisons(const Var& x, const Var& y) {
  return x == y      // refused: == and != do not take Vars
         || x != 1;  // refused: == and != do not take Vars
}
