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
	Subject string // as whoever serves it knows it
	// As is the subject by which its users know it; empty where that is the same.
	As string
	// Served tells that the users serve the subject and the aggregator uses it; the other
	// way round otherwise.
	Served bool
	// Stream tells that one request may have several answers.
	Stream bool
}

// ReaderAPI is the prefix by which readers reach the two subjects of JetStream's API that
// they may use. The usual one is taken: in an account without JetStream the server
// answers there that there is none.
const ReaderAPI = "gopprof.v1.api"

const (
	jsAPI        = "$JS.API"
	consumerInfo = ".CONSUMER.INFO." + StreamReports + "."
	consumerNext = ".CONSUMER.MSG.NEXT." + StreamReports + "."
)

// Passages lists all that crosses. Nothing else does.
func Passages() []Passage {
	return []Passage{
		{Users: UsersAgents, Subject: root + "bytes.*.*.*.*"},
		{Users: UsersAgents, Subject: root + "capture.*.*.*"},
		{Users: UsersAgents, Subject: root + "firing.*.*"},
		{Users: UsersAgents, Subject: root + "state.*.*"},
		{Users: UsersAgents, Subject: root + "agent.*.*.*", Served: true},
		{Users: UsersReaders, Subject: jsAPI + consumerInfo + "*", As: ReaderAPI + consumerInfo + "*"},
		{Users: UsersReaders, Subject: jsAPI + consumerNext + "*", As: ReaderAPI + consumerNext + "*", Stream: true},
		{Users: UsersReaders, Subject: "$JS.ACK." + StreamReports + ".>"},
	}
}
