//! What is work in a goal, and what is said about it.

use crate::planner::playbooks::parts;

/// Goals, the parts that are asked for, and how often something is said about the state of things.
#[rustfmt::skip]
const SPLIT: &[(&str, &[&str], usize)] = &[
    // What is said before a request.
    ("We are closing on 30 June; please contact the patients", &["contact the patients"], 1),
    ("I want to move in May, so find a van and three helpers", &["find a van and three helpers"], 1),
    ("Unser Zulieferer ist insolvent; bitte zwei Ersatzlieferanten finden", &["zwei Ersatzlieferanten finden"], 1),
    ("La mairie veut consulter les habitants : préparer un questionnaire", &["préparer un questionnaire"], 1),
    ("我们诊所下个月要换系统，请先备份数据", &["备份数据"], 1),
    ("We want to buy a tool; before we sign, check it for bias", &["check “We want to buy a tool” for bias"], 2),
    ("我想在不影响营业的情况下，更换电路", &["更换电路"], 1),
    ("Please check the lease; please pay the rent", &["check the lease", "pay the rent"], 0),
    ("I need you to translate the contract, please proofread the website too", &["translate the contract", "proofread the website too"], 0),
    ("We need to migrate the database; write the rollback plan", &["migrate the database", "write the rollback plan"], 0),
    ("Print a poster that says \"We are closed; please call the office\"", &["Print a poster that says \"We are closed; please call the office\""], 0),
    ("We want to share the survey. Anonymise the data and write the agreement.", &["Anonymise the data", "write the agreement"], 1),
    ("Make the site accessible and test the forms", &["Make the site accessible", "test the forms"], 0),
    ("Calculer l'économie possible et préparer une note", &["Calculer l'économie possible", "préparer une note"], 0),
    ("Rewrite the policy so it covers adoptive and foster parents", &["Rewrite the policy so it covers adoptive and foster parents"], 0),
    // Reasons, demands and limits.
    ("Write a notice, because the lift is out of order, and have it checked", &["Write a notice", "have it checked"], 1),
    ("Migrate the forum, and because half of us are old, prepare instructions", &["Migrate the forum", "prepare instructions"], 1),
    ("Find the cause and fix it, but we can't roll back", &["Find the cause", "fix it"], 1),
    ("Open a food truck by May, but we don't have any permits yet", &["Open a food truck by May"], 1),
    ("Pay the invoice, but the amount has to be corrected", &["Pay the invoice, but the amount has to be corrected"], 0),
    ("How do I prune old apple trees?", &["prune old apple trees"], 0),
    ("Cancel the gym because I am moving and find a new flat", &["Cancel the gym", "find a new flat"], 1),
    ("Book the flights, car and hotel", &["Book the flights, car and hotel"], 0),
    ("Write \"because it rains\" on the sign", &["Write \"because it rains\" on the sign"], 0),
    ("Merge the contacts; keep the latest number", &["Merge the contacts; keep the latest number"], 0),
    ("No patient data may leave the building. Move the records", &["Move the records"], 1),
    ("按照新规更新合同，发送给客户", &["按照新规更新合同", "发送给客户"], 0),
    ("I have to file my taxes. Find a dentist.", &["file my taxes", "Find a dentist"], 0),
    ("周末公司大扫除。请准备购物清单", &["周末公司大扫除", "准备购物清单"], 0),
    // Two verbs with one object.
    ("买菜，做饭，打扫房间", &["买菜", "做饭", "打扫房间"], 0),
    ("Order and set up ten laptops", &["Order ten laptops", "set up ten laptops"], 0),
    ("Installer et configurer un nouveau serveur", &["Installer un nouveau serveur", "configurer un nouveau serveur"], 0),
    ("Get the boat ready: sand and repaint the hull", &["Get the boat ready", "sand the hull", "repaint the hull"], 0),
    ("Wir möchten herausfinden, woran das liegt, ein Training anbieten und die Beiträge neu regeln", &["herausfinden, woran das liegt", "ein Training anbieten", "die Beiträge neu regeln"], 0),
    ("找出原因，换一家快递公司", &["找出原因", "换一家快递公司"], 0),
    // Questions.
    ("Find out what it costs, who pays and how long it takes", &["Find out what it costs", "Find out who pays", "Find out how long it takes"], 0),
    ("Ermittle, wie viele Reisen das betrifft und was es kostet", &["Ermittle, wie viele Reisen das betrifft", "Ermittle, was es kostet"], 0),
    ("Hire a receptionist who speaks French and who can drive", &["Hire a receptionist who speaks French and who can drive"], 0),
    ("Decide what to do when it rains and when it snows", &["Decide what to do when it rains and when it snows"], 0),
    ("Suggest what to fix first", &["Suggest what to fix first"], 0),
    // Clauses that belong to what is before them.
    ("Eine Liste erstellen, weil die Kosten steigen", &["Eine Liste erstellen"], 1),
    ("Einen Ablauf ausarbeiten, bei dem niemand lange warten muss", &["Einen Ablauf ausarbeiten, bei dem niemand lange warten muss"], 0),
    ("查一下需要哪些认证，列出费用和办理时间", &["查一下需要哪些认证", "列出费用和办理时间"], 0),
    ("Cancel the gym contract after moving away", &["Cancel the gym contract after moving away"], 0),
    ("Deploy it after running the tests", &["run the tests", "Deploy it"], 0),
    ("If the papers are late, tell the customer and offer a refund", &["tell the customer if the papers are late", "offer a refund"], 0),
];

#[test]
fn what_is_said_about_the_work_is_no_part_of_it() {
    for (goal, wanted, said) in SPLIT {
        let goal_split = parts::split(goal);
        let texts: Vec<&str> = goal_split.parts.iter().map(|part| part.text.as_str()).collect();
        assert_eq!(texts, *wanted, "{goal}: {:?}", goal_split.background);
        assert_eq!(goal_split.background.len(), *said, "{goal}: {:?}", goal_split.background);
    }
}

#[test]
fn only_what_must_be_so_before_is_a_condition() {
    for (goal, condition) in [
        ("Paint the fence if the wood is dry", Some("the wood is dry")),
        ("Paint the fence which Tom built if the wood is dry", Some("the wood is dry")),
        ("Paint the fence if at all possible", None),
        ("Write a script that sends a message if the disk is full", None),
        ("Summarise studies on accidents and falls in the home", None),
        ("Tell me if the lease is valid", None),
        ("Keep the plan even if it rains all day", None),
        ("Revisar si la página cumple la ley", None),
        ("Prepare a fallback if the lift breaks down", None),
    ] {
        let split = parts::split(goal);
        assert_eq!(split.parts[0].condition.as_deref(), condition, "{goal}");
    }
}

#[test]
fn a_long_goal_is_split_in_time_and_has_a_limited_number_of_parts() {
    let questions = format!("Find out {}", "what it is, ".repeat(900));
    let conditions = format!("如果{}", "甲乙丙，".repeat(2_000));
    let reasons = format!("Write a notice {}", "because it rains, and write it ".repeat(300));
    for goal in [questions, conditions, reasons] {
        let started = std::time::Instant::now();
        assert!(parts::split(&goal).parts.len() <= 48);
        assert!(started.elapsed().as_secs() < 20, "{goal:.20}");
    }
}
