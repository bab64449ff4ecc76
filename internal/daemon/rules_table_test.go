package daemon_test

// Who may do what: a column for each of those who are admitted. "yes" is allowed, "no"
// is denied, and "?" means that to them there is no such app, or key. Nobody, and
// whoever has a key that expired, do not even get in.
const (
	//           stranger viewer deployer owner | deploy key: of the app, of another | admin
	everybody = "yes      yes    yes      yes     yes  yes  yes" // sees what is theirs
	people    = "yes      yes    yes      yes     no   no   yes"
	lookers   = "?        yes    yes      yes     yes  ?    yes" // looks at one app
	pushers   = "?        no     yes      yes     yes  ?    yes" // deploys it
	changers  = "?        no     yes      yes     no   ?    yes" // configures, scales, runs
	owners    = "?        no     no       yes     no   ?    yes" // destroys it, says who may
	admins    = "no       no     no       no      no   no   yes"
)

// routeRules has a line for every route of the API.
func routeRules() map[string]string {
	return map[string]string{
		"GET /v1/about":      everybody,
		"GET /v1/doctor":     admins,
		"GET /v1/garbage":    admins,
		"DELETE /v1/garbage": admins,
		"/":                  everybody, // whatever there is not

		"GET /v1/apps":                 everybody,
		"POST /v1/apps":                people,
		"GET /v1/apps/{app}":           lookers,
		"DELETE /v1/apps/{app}":        owners,
		"PUT /v1/apps/{app}/branch":    owners,
		"GET /v1/apps/{app}/events":    lookers,
		"GET /v1/events":               everybody,
		"GET /v1/instances":            everybody,
		"GET /v1/apps/{app}/logs":      lookers,
		"POST /v1/apps/{app}/rollback": pushers,

		"GET /v1/apps/{app}/instances":          lookers,
		"GET /v1/apps/{app}/releases":           lookers,
		"GET /v1/apps/{app}/releases/{release}": lookers,

		"GET /v1/apps/{app}/processes":                       lookers,
		"PATCH /v1/apps/{app}/processes":                     changers,
		"GET /v1/apps/{app}/releases/{release}/diff/{other}": lookers,

		"GET /v1/apps/{app}/config":         lookers, // names only
		"GET /v1/apps/{app}/config/values":  changers,
		"GET /v1/apps/{app}/config/history": lookers,
		"GET /v1/apps/{app}/config/diff":    lookers,
		"PATCH /v1/apps/{app}/config":       changers,

		"GET /v1/apps/{app}/domains":        lookers,
		"POST /v1/apps/{app}/domains":       changers,
		"DELETE /v1/apps/{app}/domains":     changers,
		"GET /v1/apps/{app}/domains/check":  lookers,
		"POST /v1/apps/{app}/redirects":     changers,
		"GET /v1/apps/{app}/maintenance":    lookers,
		"PUT /v1/apps/{app}/maintenance":    changers,
		"DELETE /v1/apps/{app}/maintenance": changers,
		"GET /v1/apps/{app}/proxy":          lookers,
		"PATCH /v1/apps/{app}/proxy":        changers,

		"GET /v1/apps/{app}/runs":            changers,
		"POST /v1/apps/{app}/runs":           changers,
		"POST /v1/apps/{app}/runs/attached":  changers,
		"DELETE /v1/apps/{app}/runs/{run}":   changers,
		"GET /v1/apps/{app}/runs/{run}/logs": changers,
		"POST /v1/apps/{app}/enter":          changers,

		"GET /v1/keys":                             everybody,
		"POST /v1/keys":                            admins,
		"DELETE /v1/keys/{fingerprint}":            admins,
		"GET /v1/apps/{app}/keys":                  owners,
		"POST /v1/apps/{app}/keys":                 owners,
		"DELETE /v1/apps/{app}/keys/{fingerprint}": owners,
		"GET /v1/audit":                            everybody,
		"GET /v1/apps/{app}/audit":                 owners,
		"GET /v1/users":                            admins,
		"GET /v1/apps/{app}/access":                lookers,
		"PUT /v1/apps/{app}/access/{user}":         owners,
		"DELETE /v1/apps/{app}/access/{user}":      owners,
		"PUT /v1/apps/{app}/owner":                 owners,
	}
}

// lineRules has a line for every command that can be typed behind ssh octo@HOST: at
// least one, and more where it does different things. APP is an app that is there.
func lineRules() map[string]string {
	return map[string]string{
		"git-upload-pack APP":      lookers,
		"git-receive-pack APP":     "? no yes yes yes no yes", // strangers: the name is taken
		"git-receive-pack new-APP": people,                    // the first push creates an app
		"octo-api":                 everybody,                 // see routeRules

		"apps":                           everybody,
		"apps:branch main -a APP":        owners,
		"apps:create new-APP":            people,
		"apps:destroy APP --confirm APP": owners,
		"apps:info APP":                  lookers,
		"ps":                             everybody,
		"ps -a APP":                      lookers,
		"logs -a APP":                    lookers,
		"events":                         everybody,
		"events -a APP":                  lookers,
		"open APP":                       lookers,
		"releases APP":                   lookers,
		"releases:info v1 -a APP":        lookers,
		"releases:diff v1 v1 -a APP":     lookers,
		"ps:scale -a APP":                lookers,
		"ps:scale web=1 -a APP":          changers,
		"ps:restart -a APP":              changers,
		"ps:stop -a APP":                 changers,
		"ps:start -a APP":                changers,
		"limits APP":                     lookers,
		"limits:set pids=9 -a APP":       changers,
		"limits:unset -a APP":            changers,
		"rollback -a APP":                pushers,

		"config APP":                     lookers,
		"config APP --reveal":            changers,
		"config:diff c0 -a APP":          lookers,
		"config:diff c0 -a APP --reveal": changers,
		"config:export APP":              changers,
		"config:get A -a APP":            changers,
		"config:history APP":             lookers,
		"config:import - -a APP":         changers,
		"config:set A=1 -a APP":          changers,
		"config:unset A -a APP":          changers,

		"domains APP":                           lookers,
		"domains:add www.APP.example -a APP":    changers,
		"domains:check APP":                     lookers,
		"domains:clear APP":                     changers,
		"domains:remove www.APP.example -a APP": changers,

		"redirects APP": lookers,
		"redirects:add old.APP.example www.APP.example -a APP": changers,
		"redirects:remove old.APP.example -a APP":              changers,

		"maintenance APP":     lookers,
		"maintenance:on APP":  changers,
		"maintenance:off APP": changers,

		"proxy APP":                    lookers,
		"proxy:set timeout=90s -a APP": changers,

		"run APP -- true":           changers,
		"run:detached APP -- true":  changers,
		"run:list APP":              changers,
		"run:logs run.k7f3q -a APP": changers,
		"run:stop run.k7f3q -a APP": changers,

		"enter APP": changers,
		"shell APP": changers,

		"access -a APP":                lookers,
		"access:add bob viewer -a APP": owners,
		"access:remove vic -a APP":     owners,
		"access:transfer bob -a APP":   owners,
		"keys":                         everybody,
		"keys -a APP":                  owners,
		"keys:add - --user bob":        admins,
		"keys:add - --name ci -a APP":  owners,
		"keys:info SHA256:APP":         "? ? ? yes yes ? yes",
		"keys:remove SHA256:APP":       "? ? ? yes no ? yes",
		"audit":                        everybody,
		"audit -a APP":                 owners,
		"users":                        admins,
		"whoami":                       everybody,

		"doctor":       admins,
		"gc --dry-run": admins,
		"help":         everybody,
		"version":      everybody,
	}
}
