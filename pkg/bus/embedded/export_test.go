package embedded

import "time"

// NewRecorder makes what the server's log is handed on by.
var NewRecorder = newRecorder

// SwitchedOff is why there is no JetStream any more.
func (r *recorder) SwitchedOff() error { return r.switchedOff() }

// LoadUsers reads the users of a configuration.
func LoadUsers(c Config) (Users, error) { return c.load() }

// StampOf is what the server knows a file by.
var StampOf = stampOf

// WatchEvery makes Run look at the files, and Stuck at the streams, more often.
func (s *Server) WatchEvery(d time.Duration) { s.every = d }

// SwitchOffJetStream does what the server does by itself when it may not write a file.
func (s *Server) SwitchOffJetStream() error { return s.srv.ShutdownJetStream() }

// Looks is how often Stuck has looked.
func (s *Server) Looks() uint64 { return s.looks.Load() }

// SyncsEveryWrite tells what JetStream itself says.
func (s *Server) SyncsEveryWrite() bool { return s.srv.JetStreamConfig().SyncAlways }
