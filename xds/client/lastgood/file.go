package lastgood

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/cespare/xxhash/v2"
)

// envelope is the file: the checksum is over the bytes of Body as they stand.
type envelope struct {
	XXHash string          `json:"xxhash64"`
	Body   json.RawMessage `json:"body"`
}

// ErrCorrupt marks a file that exists and cannot be used.
var ErrCorrupt = errors.New("corrupt")

func checksum(body []byte) string { return strconv.FormatUint(xxhash.Sum64(body), 16) }

// Read reads the state file. It returns fs.ErrNotExist when there is none
// and ErrCorrupt when its content cannot be trusted.
func Read(path string) (*Content, error) {
	raw, err := readRegular(path)
	if err != nil {
		return nil, fmt.Errorf("read state file: %w", err)
	}
	var env envelope
	if err := json.Unmarshal(raw, &env); err != nil {
		return nil, fmt.Errorf("state file %q: %w: %w", path, ErrCorrupt, err)
	}
	if sum := checksum(env.Body); sum != env.XXHash {
		return nil, fmt.Errorf("state file %q: %w: checksum is %s, want %s", path, ErrCorrupt, sum, env.XXHash)
	}
	g := &Content{}
	if err := json.Unmarshal(env.Body, g); err != nil {
		return nil, fmt.Errorf("state file %q: %w: %w", path, ErrCorrupt, err)
	}
	if g.Format != Format {
		return nil, fmt.Errorf("state file %q: %w: format %d, want %d", path, ErrCorrupt, g.Format, Format)
	}
	return g, nil
}

// maxStateFile is larger than any configuration.
const maxStateFile = 256 << 20

// readRegular reads a regular file only: a link leads elsewhere, and opening a FIFO
// would block the start for ever.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	case info.Size() > maxStateFile:
		return nil, fmt.Errorf("%s has %d bytes, which no configuration has", path, info.Size())
	}
	return io.ReadAll(f)
}

// Write replaces the state file in one step, readable by its owner only:
// after a crash there is the old file or the new one, whole.
func Write(path string, g *Content) (err error) {
	body, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("marshal state: %w", err)
	}
	tmp, err := createTemporary(path + ".tmp")
	if err != nil {
		return fmt.Errorf("create state file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if _, err = tmp.Write(wrap(body)); err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("write state file: %w", err)
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("replace state file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// createTemporary makes a new file. Its name is fixed, so that crashes leave one file
// at most. An existing file of this name is removed and never written through: it
// could be a link to one of the user's files.
func createTemporary(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
}

// wrap is the envelope of body, which encoding/json would read through once more.
func wrap(body []byte) []byte {
	out := make([]byte, 0, len(body)+64)
	out = append(out, `{"xxhash64":"`...)
	out = append(out, checksum(body)...)
	out = append(out, `","body":`...)
	out = append(out, body...)
	return append(out, '}')
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open state directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync state directory: %w", err)
	}
	return nil
}
