/* The module is its header; SwiftPM wants a source. */
#include "contract_calls.h"
