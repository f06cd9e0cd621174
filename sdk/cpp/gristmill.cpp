/* The library in C, for a compiler that is told a standard of C++: it would refuse files in C with it. */
#include "gristmill.c"
#include "gristmill_json.c"
