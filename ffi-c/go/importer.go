package regauth

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Format is that of configuration files.
type Format uint32

// The formats.
const (
	// DockerCerts is Docker's certs.d: one directory.
	DockerCerts Format = 1
	// ContainersCerts are the certs.d directories of podman, buildah, skopeo and CRI-O, in their search order.
	ContainersCerts Format = 2
	// Hosts are containerd's host directories in the order of config_path: hosts.toml.
	Hosts Format = 3
	// Buildkitd is BuildKit's buildkitd.toml.
	Buildkitd Format = 4
	// Registries is k3s's and RKE2's registries.yaml.
	Registries Format = 5
	// Regauth is regauth.toml: pairs and everything that the other formats cannot say.
	Regauth Format = 6
	// DockerConfig is Docker's config.json.
	DockerConfig Format = 7
	// DockerAuthConfig is the value of DOCKER_AUTH_CONFIG, as Data, under the variable's name; before config.json.
	DockerAuthConfig Format = 8
	// AuthJSON is podman's auth.json.
	AuthJSON Format = 9
	// Kubernetes is an image pull secret.
	Kubernetes Format = 10
)

// Source is one thing to import: a file, or directories in their search order.
type Source struct {
	Format Format
	// Paths are files, each a source of its own, or the directories of DockerCerts, ContainersCerts and Hosts.
	Paths []string
	// Data is the content of the only path, which is then a name and not read.
	Data []byte
}

// Severity is how bad a diagnostic is.
type Severity uint32

// The severities.
const (
	// Info is worth knowing.
	Info Severity = 1
	// Warning: other readers of this file do something else, or something is not used.
	Warning Severity = 2
	// Severe: something that is configured cannot be used.
	Severe Severity = 3
)

func (s Severity) String() string { return name(uint32(s), "", "info", "warning", "error") }

// Diagnostic is something that is wrong with a configuration, or would surprise. Its texts hold no secrets.
type Diagnostic struct {
	Severity Severity
	// Line is from 1; 0 where the format gives none.
	Line int
	// File, and the key in it, dotted; empty for the file as a whole.
	File, Key string
	// Code is a stable name, such as "missing-file".
	Code string
	// What is so, and what to do: one sentence each.
	What, Remedy string
}

func (d Diagnostic) String() string {
	at := d.File
	if d.Key != "" {
		at += " " + d.Key
	}
	return at + ": " + d.What + ". " + d.Remedy
}

// Importer reads configuration files of several formats into one configuration.
type Importer struct {
	// Now is when certificates are looked at; zero: none has expired then.
	Now time.Time
	// Roots and RootsPEM are the certificate authorities that those of the files are added to.
	Roots    RootsMode
	RootsPEM [][]byte
	// FS is where files are read; nil: this machine.
	FS fs.FS
}

// Import reads the sources, of which an earlier one's word holds before a later one's, and the files that they name. A file
// that does not exist is left out. The configuration is made whatever the diagnostics say: where an identity or credentials
// cannot be used, requests to that host fail, and never go out without.
func (i Importer) Import(sources ...Source) (*Config, []Diagnostic, error) {
	// The first run says which files it wants, the second one has them.
	var wanted []string
	if err := i.run(sources, nil, func(f *frame, at uint64) error {
		out := f.alloc(16)
		for n := uint64(0); f.call(fnImporterWanted).u(at).u(n).u(out).run() == statusOK; n++ {
			r := &reader{f: f, whole: f.m.bytes(out, 16)}
			wanted = append(wanted, r.text())
		}
		return nil
	}); err != nil {
		return nil, nil, err
	}
	config := &Config{signers: signers{}}
	var diagnostics []Diagnostic
	err := i.run(sources, wanted, func(f *frame, at uint64) error {
		c := f.call(fnImporterFinish).u(at).to()
		made, err := c.pointerOr(c.do())
		if err != nil {
			return err
		}
		config.o = newObject(config, made, fnConfigFree)
		out := f.out()
		for n := uint64(0); f.call(fnImporterDiagnostic).u(at).u(n).u(out).run() == statusOK; n++ {
			r := f.read(out)
			d := Diagnostic{Severity: Severity(r.u32()), Line: int(r.u32())}
			d.File, d.Key, d.Code, d.What, d.Remedy = r.text(), r.text(), r.text(), r.text(), r.text()
			diagnostics = append(diagnostics, d)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return config, diagnostics, nil
}

func (i Importer) run(sources []Source, named []string, end func(f *frame, at uint64) error) error {
	read := files{i.FS}
	var calls []func(f *frame, at uint64) status
	for _, name := range named {
		calls = append(calls, read.named(name))
	}
	for _, source := range sources {
		switch source.Format {
		case DockerCerts, ContainersCerts, Hosts:
			calls = append(calls, read.directories(source))
		default:
			calls = append(calls, read.files(source)...)
		}
	}
	// All files are read before the machine is locked.
	return use(func(f *frame) error {
		c := f.call(fnImporterNew).u(millis(i.Now)).to()
		at, err := c.pointerOr(c.do())
		if err != nil {
			return err
		}
		defer f.call(fnImporterFree).u(at).run()
		s := f.call(fnImporterRoots).u(at).u(uint64(i.Roots)).u(f.datas(i.RootsPEM)).u(uint64(len(i.RootsPEM))).run()
		if s != statusOK {
			return s.err()
		}
		for _, call := range calls {
			if s := call(f, at); s != statusOK {
				return s.err()
			}
		}
		return end(f, at)
	})
}

// files reads a program's files.
type files struct{ fs fs.FS }

func (r files) read(path string) ([]byte, error) {
	if r.fs != nil {
		return fs.ReadFile(r.fs, path)
	}
	return os.ReadFile(path)
}

// why is an error in the words of the system, without the path.
func why(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

func (r files) files(source Source) []func(f *frame, at uint64) status {
	var calls []func(f *frame, at uint64) status
	for _, path := range source.Paths {
		data, err := source.Data, error(nil)
		if data == nil {
			if data, err = r.read(path); errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		calls = append(calls, func(f *frame, at uint64) status {
			if err != nil {
				return f.call(fnImporterImportUnreadable).u(at).u(uint64(source.Format)).text(path).text(why(err)).run()
			}
			return f.call(fnImporterImport).u(at).u(uint64(source.Format)).text(path).data(data).run()
		})
	}
	return calls
}

// named gives a file or a directory that a configuration names.
func (r files) named(name string) func(f *frame, at uint64) status {
	if info, err := r.stat(name); err == nil && info.IsDir() {
		directory := r.walk(name)
		return func(f *frame, at uint64) status {
			made, s := directory.make(f)
			if s != statusOK {
				return s
			}
			return f.call(fnImporterFileDirectory).u(at).text(name).u(made).run()
		}
	}
	data, err := r.read(name)
	return func(f *frame, at uint64) status {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return statusOK
		case err != nil:
			return f.call(fnImporterFileUnreadable).u(at).text(name).text(why(err)).run()
		}
		return f.call(fnImporterFile).u(at).text(name).data(data).run()
	}
}

func (r files) stat(name string) (fs.FileInfo, error) {
	if r.fs != nil {
		return fs.Stat(r.fs, name)
	}
	return os.Stat(name)
}

func (r files) directories(source Source) func(f *frame, at uint64) status {
	var all []directory
	for _, path := range source.Paths {
		if _, err := r.stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		all = append(all, r.walk(path))
	}
	return func(f *frame, at uint64) status {
		if len(all) == 0 {
			return statusOK
		}
		list := f.list()
		for _, directory := range all {
			made, s := directory.make(f)
			if s != statusOK {
				return s
			}
			list.word(made)
		}
		c := f.call(fnImporterImportDirectories).u(at).u(uint64(source.Format))
		return c.u(list.put()).u(uint64(len(all))).run()
	}
}

// directory is one in memory.
type directory struct {
	name    string
	entries []entry
}

type entry struct {
	path string
	data []byte
	err  error
}

// walk reads a directory of at most two levels, which is as deep as the formats go; links are followed.
func (r files) walk(root string) directory {
	all := directory{name: root}
	var walk func(below string, depth int)
	walk = func(below string, depth int) {
		at := filepath.Join(root, below)
		list, err := r.list(at)
		if err != nil {
			all.entries = append(all.entries, entry{path: filepath.ToSlash(below), err: err})
			return
		}
		for _, one := range list {
			path := filepath.Join(below, one.Name())
			info, err := r.stat(filepath.Join(root, path))
			if err == nil && info.IsDir() {
				if depth < 1 {
					walk(path, depth+1)
				}
				continue
			}
			var data []byte
			if err == nil {
				data, err = r.read(filepath.Join(root, path))
			}
			all.entries = append(all.entries, entry{filepath.ToSlash(path), data, err})
		}
	}
	walk("", 0)
	return all
}

func (r files) list(path string) ([]fs.DirEntry, error) {
	if r.fs != nil {
		return fs.ReadDir(r.fs, path)
	}
	return os.ReadDir(path)
}

func (d directory) make(f *frame) (uint64, status) {
	c := f.call(fnDirectoryNew).text(d.name).to()
	if s := c.run(); s != statusOK {
		return 0, s
	}
	at := c.pointer()
	for _, one := range d.entries {
		var s status
		if one.err != nil {
			s = f.call(fnDirectoryUnreadable).u(at).text(one.path).text(why(one.err)).run()
		} else {
			s = f.call(fnDirectoryAdd).u(at).text(one.path).data(one.data).run()
		}
		if s != statusOK {
			f.call(fnDirectoryFree).u(at).run()
			return 0, s
		}
	}
	return at, statusOK
}
