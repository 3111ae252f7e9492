"""Those who run the same prompts: each module is a process that loads once and answers runs.

They run in environments of their own, with the root of the repository on PYTHONPATH: beside what
its environment holds, a module here imports only the standard library, `bench.peers` and
`bench.engine_workloads`. `headrace_engine`, `engine_users` and `service_users` run in the project's
own environment.
"""
