"""The directory's contents as a YAML file: sites, users, devices, policies and grants, dial plans, contacts.

    policies    settings with Microsoft's names, and which of several a user has
    model       the shape of the file
    users       a user
    scenario    all users, and what each of them gets
    load        text → Scenario, or what is wrong with it

docs/scenario.md describes the file; default.yaml is the lab's own.
"""
