-- What the daemon needs to find the messages in quarantine whose time lay in the future when they came:
-- they are judged again when the clock has moved on. Only entries with the reason `time` are in it.

CREATE INDEX quarantine_with_time ON quarantine (digest) WHERE reason = 'time';
