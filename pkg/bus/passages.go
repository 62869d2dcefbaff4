package bus

// Users is a group of users that lives in an account of its own on the server.
type Users string

// The groups.
const (
	UsersAgents  Users = "agents"
	UsersReaders Users = "readers"
)

// Passage is one subject that crosses between the aggregator's account, which has
// JetStream, and the account of a group of users; as plain data.
type Passage struct {
	Users   Users
	Subject string
	// Served tells that the users serve the subject and the aggregator uses it; the other
	// way round otherwise.
	Served bool
	// Stream tells that one request may have several answers.
	Stream bool
}

// Passages lists all that crosses. Nothing else does.
func Passages() []Passage {
	return []Passage{
		{Users: UsersAgents, Subject: root + "bytes.*.*.*.*"},
		{Users: UsersAgents, Subject: root + "capture.*.*.*"},
		{Users: UsersAgents, Subject: root + "firing.*.*"},
		{Users: UsersAgents, Subject: root + "state.*.*"},
		{Users: UsersAgents, Subject: root + "agent.*.*.*", Served: true},
		{Users: UsersReaders, Subject: "$JS.API.CONSUMER.INFO." + StreamReports + ".*"},
		{Users: UsersReaders, Subject: "$JS.API.CONSUMER.MSG.NEXT." + StreamReports + ".*", Stream: true},
		{Users: UsersReaders, Subject: "$JS.ACK." + StreamReports + ".>"},
	}
}
