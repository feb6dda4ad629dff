//go:build regauth_cgo && linux

// Package heap says how much memory of the core is in use, for tests.
package heap

/*
#include <malloc.h>
static size_t live(void) { return mallinfo2().uordblks; }
*/
import "C"

// Slack is how much the same state may differ by, in bytes: malloc counts what its cache of each thread holds, a hundred
// kilobytes or so (GLIBC_TUNABLES=glibc.malloc.tcache_count=0 is without).
const Slack = 256 << 10

// Live is what malloc has given out.
func Live(_ uint64) uint64 { return uint64(C.live()) }
