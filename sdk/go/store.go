//go:build unix

package device

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Store is a directory of one device, of one process at a time, and readable by its owner only. A message leaves only after the
// state that it needs is durable (sections 3, 6 and 9).
type Store struct {
	path string
	lock *os.File
}

const (
	stateFile = "state.json"
	nextFile  = "state.json.new"
	lockFile  = "lock"
)

// What a test watches, and breaks off.
var (
	syncFile = (*os.File).Sync
	rename   = os.Rename
)

// OpenStore makes the directory if there is none, and takes it for this process until Close.
func OpenStore(path string) (*Store, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// Locked before the state is read: two processes that go on from one state are a clone (section 5).
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("%w: %s is in use by another process", ErrState, path)
	}
	return &Store{path, lock}, nil
}

// Load gives what was saved last, or nil before a first enrollment.
func (s *Store) Load() ([]byte, error) {
	file, err := os.Open(filepath.Join(s.path, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxState+1))
	if err == nil && len(data) > maxState {
		err = fmt.Errorf("%w: %s is too long to be one", ErrState, file.Name())
	}
	return data, err
}

// Save writes, syncs, renames, and syncs the directory. Whenever the power fails, the file is the former or this one, whole.
func (s *Store) Save(data []byte) error {
	if s.lock == nil {
		return fmt.Errorf("%w: %s was closed", ErrState, s.path)
	}
	next := filepath.Join(s.path, nextFile)
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = syncFile(file)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := rename(next, filepath.Join(s.path, stateFile)); err != nil {
		return err
	}
	directory, err := os.Open(s.path)
	if err != nil {
		return err
	}
	return errors.Join(syncFile(directory), directory.Close())
}

// Close lets other processes have it. Nothing can be saved from here on.
func (s *Store) Close() error {
	if s.lock == nil {
		return nil
	}
	lock := s.lock
	s.lock = nil
	return lock.Close()
}
