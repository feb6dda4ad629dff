// Command peers measures registry clients written in Go, for core/benches: it reads one line for each measurement,
// and answers with one line of JSON. Arguments: the file of challenges, the directory of certificates.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cost is what something costs once.
type cost struct {
	Figure      float64 `json:"figure"`
	Allocations float64 `json:"allocations"`
}

var measurements = map[string]func(arguments []string, times int) cost{
	"challenge": challenge,
	"authorize": authorize,
	"answer":    answer,
	"heap":      heap,
	"waiters":   waiters,
	"handshake": handshake,
	"bulk":      bulk,
	"token":     tokens,
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		times := must(strconv.Atoi(words[len(words)-1]))
		result := measurements[words[0]](words[1:len(words)-1], times)
		fmt.Println(string(must(json.Marshal(result))))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// cpu is the CPU time of the process, or of this thread.
func cpu(clock int32) float64 {
	var time unix.Timespec
	if err := unix.ClockGettime(clock, &time); err != nil {
		panic(err)
	}
	return float64(time.Nano())
}

// measure is the CPU time of the process, the garbage collector's part included.
func measure(times int, work func()) cost {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := cpu(unix.CLOCK_PROCESS_CPUTIME_ID)
	for range times {
		work()
	}
	spent := cpu(unix.CLOCK_PROCESS_CPUTIME_ID) - start
	runtime.ReadMemStats(&after)
	return cost{spent / float64(times), float64(after.Mallocs-before.Mallocs) / float64(times)}
}

// less is one cost without the part of it that the other one is.
func less(whole, part cost) cost {
	return cost{whole.Figure - part.Figure, whole.Allocations - part.Allocations}
}
