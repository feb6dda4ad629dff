package regauth

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The first call of a process, which compiles the module: with nothing kept, and twice with what was compiled kept; then that
// of the server half, which is another module.
func TestFirstCall(t *testing.T) {
	if directory, child := os.LookupEnv("REGAUTH_FIRST_CALL"); child {
		start := time.Now()
		if directory != "" {
			must(t, KeepCompiled(directory))
		}
		if origin, err := ParseOrigin("https://reg.example"); err != nil || origin != "https://reg.example" {
			t.Fatalf("came %q, %v", origin, err)
		}
		client := time.Since(start)
		if _, err := NewSigningKey(nil); err != nil {
			t.Fatal(err)
		}
		server := time.Since(start) - client
		fmt.Println("took", client.Round(10*time.Microsecond), "and", server.Round(10*time.Microsecond))
		return
	}
	kept := t.TempDir()
	for _, directory := range []string{"", kept, kept} {
		child := exec.Command(os.Args[0], "-test.run", "^TestFirstCall$", "-test.v")
		child.Env = append(os.Environ(), "REGAUTH_FIRST_CALL="+directory)
		said, err := child.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		_, took, _ := strings.Cut(string(said), "took ")
		took, _, _ = strings.Cut(took, "\n")
		t.Logf("%s, kept %v: the first call and that of the server half took %s, %v of CPU in all", Backend, directory != "", took, child.ProcessState.UserTime())
	}
	files, err := os.ReadDir(kept)
	must(t, err)
	if Backend == "wasm" && len(files) == 0 {
		t.Error("nothing was kept")
	}
}
