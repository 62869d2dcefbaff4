package embedded

import "time"

// LoadUsers reads the users of a configuration.
func LoadUsers(c Config) (Users, error) { return c.load() }

// WatchEvery makes Run look at the files more often.
func (s *Server) WatchEvery(d time.Duration) { s.every = d }

// SyncsEveryWrite tells what JetStream itself says.
func (s *Server) SyncsEveryWrite() bool { return s.srv.JetStreamConfig().SyncAlways }
